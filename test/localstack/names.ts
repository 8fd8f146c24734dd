/** What the test app refers to and a test makes. */
export const SECRET = "millrace-tests";
export const PARAMETER = "/millrace-tests/token";
