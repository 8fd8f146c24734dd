import { encodedPattern, escaped, type NamedSecret, replaceSecrets } from "../../contract/conceal.ts";

/** Replaces secrets in a text, such as a cursor, by `{env:NAME}`. */
export function hideSecrets(text: string, secrets: readonly NamedSecret[]): string {
  return replaceSecrets(text, secrets, escaped);
}

/**
 * Returns path and query of a URL with secrets replaced by `{env:NAME}`, in whichever way the URL
 * encodes them. The URL's own braces are encoded, so that only placeholders have some.
 */
export function hideInUrl({ pathname, search }: URL, secrets: readonly NamedSecret[]): string {
  const text = `${pathname}${search}`.replaceAll("{", "%7B").replaceAll("}", "%7D");
  return replaceSecrets(text, secrets, (value) => Array.from(value, encodedPattern).join(""));
}

/** Puts secrets back in the place of `{env:NAME}`. Other names stay as they are. */
export function revealSecrets(
  text: string,
  secrets: readonly NamedSecret[],
  encode: (value: string) => string = (value) => value,
): string {
  return text.replace(/\{((?:env|url):[^{}]+)\}/g, (placeholder, name) => {
    const secret = secrets.find((each) => each.name === name);
    return secret === undefined ? placeholder : encode(secret.value);
  });
}
