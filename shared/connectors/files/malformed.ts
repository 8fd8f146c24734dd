/** What is wrong with a file, in words that quote nothing of it. */
export class Malformed extends Error {}
