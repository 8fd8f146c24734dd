/**
 * In a bundle, this file takes the place of an optional package that is not installed. Without it,
 * Lambda would find its own copy of the AWS SDK.
 */
module.exports = (() => {
  throw Object.assign(new Error("the package is not in this bundle"), {
    code: "ERR_MODULE_NOT_FOUND",
    isLeftOut: true,
  });
})();
