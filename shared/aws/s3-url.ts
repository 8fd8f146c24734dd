/**
 * Bucket and prefix of `s3://bucket/prefix`, the prefix without slashes at its end; `undefined` for
 * another location.
 */
export function parseS3Url(
  location: string,
): { readonly bucket: string; readonly prefix: string } | undefined {
  const [, bucket, prefix = ""] = /^s3:\/\/([^/]+)(?:\/(.*?))?\/*$/.exec(location) ?? [];
  return bucket === undefined ? undefined : { bucket, prefix };
}
