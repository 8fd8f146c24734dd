import {
  CATALOG_OPTIONS,
  type ParsedGlue,
  type ParsedRest,
  type ParsedS3Tables,
  type RestCatalogOptions,
} from "./options.ts";

/** Returns the REST catalog of a table bucket. Its ARN is the warehouse. */
export function s3TablesAsRest({ tableBucketArn, uri }: ParsedS3Tables): ParsedRest {
  const [, , , region = ""] = tableBucketArn.split(":");
  return parsed({
    type: "rest",
    uri: uri ?? endpoint("s3tables", region),
    warehouse: tableBucketArn,
    sigv4: { service: "s3tables", region },
    // The files are in the bucket, to which the caller's own rights apply.
    accessDelegation: "none",
  });
}

/** Returns the REST catalog of AWS Glue. The id of the catalog is the warehouse. */
export function glueAsRest({ catalogId, uri }: ParsedGlue, region: string): ParsedRest {
  return parsed({
    type: "rest",
    uri: uri ?? endpoint("glue", region),
    ...(catalogId === undefined ? {} : { warehouse: catalogId }),
    sigv4: { service: "glue", region },
    accessDelegation: "none",
  });
}

function endpoint(service: string, region: string): string {
  return `https://${service}.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}/iceberg`;
}

/** Adds the defaults. */
function parsed(options: RestCatalogOptions): ParsedRest {
  return CATALOG_OPTIONS.parse(options) as ParsedRest;
}
