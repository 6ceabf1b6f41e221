# `cargo xtask rehearse` adds this file to a copy of the module: short timeouts, so that an upload fails within seconds.

locals {
  visibility_seconds = 4
  max_receives       = 2
}
