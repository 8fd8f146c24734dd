/**
 * Re-exports the copy of `apache-arrow` that Millrace uses. A sink should import Arrow from here:
 * two copies do not recognise each other's types, and files that mix them cannot be read.
 */
export * from "apache-arrow";
