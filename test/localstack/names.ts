/** Names of resources that the test app refers to and a test creates. */
export const SECRET = "millrace-tests";
export const PARAMETER = "/millrace-tests/token";
