# `cargo xtask rehearse` adds this file to a copy of the module: short timeouts, so that an upload fails within seconds, and
# no wait for edge locations, which the emulator does not have.

locals {
  visibility_seconds = 4
  max_receives       = 2
}

resource "aws_cloudfront_distribution" "this" {
  wait_for_deployment = false
}
