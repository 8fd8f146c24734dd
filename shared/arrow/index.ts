/**
 * The copy of `apache-arrow` that Millrace itself uses. Record batches that a sink is given, and
 * what it does with them, must be of one copy: two of them do not know each other's types, and
 * write files that nobody can read.
 */
export * from "apache-arrow";
