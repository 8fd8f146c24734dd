/** Names of a secret and a parameter. The test app refers to them, and a test creates them. */
export const SECRET = "millrace-tests";
export const PARAMETER = "/millrace-tests/token";
