/** Names of a secret and a parameter. The test app refers to them, and a test creates them. */
export const SECRET = "millrace-tests";
export const PARAMETER = "/millrace-tests/token";
/** Environment variable with the edition of the functions that the test app deploys. */
export const EDITION = "MILLRACE_TEST_EDITION";
