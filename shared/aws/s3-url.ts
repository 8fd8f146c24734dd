/**
 * Splits `s3://bucket/prefix` into bucket and prefix, and removes slashes at the end of the prefix.
 * Returns `undefined` if the location is not an S3 URL.
 */
export function parseS3Url(
  location: string,
): { readonly bucket: string; readonly prefix: string } | undefined {
  const [, bucket, prefix = ""] = /^s3:\/\/([^/]+)(?:\/(.*?))?\/*$/.exec(location) ?? [];
  return bucket === undefined ? undefined : { bucket, prefix };
}
