# The result of `gatepost package`. All deployed files and their digests come from its manifest.

locals {
  manifest_file = "${var.dist}/manifest.json"
  is_packaged   = fileexists(local.manifest_file)
  manifest      = jsondecode(local.is_packaged ? file(local.manifest_file) : jsonencode(local.no_manifest))

  # A placeholder, so that the precondition below can report the missing package.
  no_package = {
    file             = "missing.zip"
    source_code_hash = ""
    handler          = "missing"
    runtimes         = ["provided.al2023"]
    architecture     = "x86_64"
  }
  no_manifest = {
    version          = 1
    gatepost         = "missing"
    config_sha256    = "missing"
    delivery         = { mode = "lambda", paths = ["/media/*"], public_paths = [], gate = null }
    edge_auth        = local.no_package
    signing_api      = local.no_package
    upload_processor = local.no_package
    web              = []
    web_connects_to  = []
    cors             = null
    uploads          = { through = "bucket" }
    form_seconds     = 300
    link_seconds     = null

    link_window_seconds   = 0
    browser_cache_seconds = 0
  }

  # The mode, and the paths on which it authorizes viewers. A precondition reports a manifest without this block.
  delivery = try(local.manifest.delivery, local.no_manifest.delivery)

  # Where the page sends its forms: to the upload bucket, or to the distribution.
  uploads_through = try(coalesce(local.manifest.uploads.through), "bucket")

  # In seconds.
  longest_session = 3600

  tags = merge({ gatepost = local.manifest.gatepost }, var.tags)
}

resource "terraform_data" "package" {
  input = local.manifest.config_sha256

  lifecycle {
    precondition {
      condition     = local.is_packaged
      error_message = "${var.dist} contains no package. Run `gatepost package --config gatepost.toml --out dist` first, or name its folder with -var dist=…"
    }
    precondition {
      condition = alltrue([
        for function in [local.manifest.edge_auth, local.manifest.signing_api, local.manifest.upload_processor] :
        try(filebase64sha256("${var.dist}/${function.file}") == function.source_code_hash, true)
      ])
      error_message = "The packages in ${var.dist} do not match its manifest.json. Package again."
    }
    precondition {
      condition     = local.manifest.version == 1 && can(local.manifest.delivery.mode)
      error_message = "The package in ${var.dist} was made by another version of Gatepost. Package again with the version of these files."
    }
    precondition {
      condition     = contains(["lambda", "function", "signed", "presigned"], local.delivery.mode)
      error_message = "The package is for delivery mode \"${local.delivery.mode}\", which these files do not know. Package again with the version of these files."
    }
    precondition {
      condition     = local.delivery.mode != "signed" || local.signs_links
      error_message = "The package is for delivery mode \"signed\", but link_keys is not set. The API signs cookies with that key, and CloudFront checks them. Set link_keys, or choose another mode in [delivery] of gatepost.toml and package again."
    }
    precondition {
      condition     = local.delivery.mode != "function" || nonsensitive(sensitive(var.session_key == null))
      error_message = "The package is for delivery mode \"function\", but session_key is set. In this mode the API reads the secrets of sessions from session_secret_arn, and does not start with another private key. Remove session_key."
    }
    precondition {
      condition     = contains(["bucket", "distribution"], local.uploads_through)
      error_message = "The package sends uploads through \"${local.uploads_through}\", which these files do not know. Package again with the version of these files."
    }
    precondition {
      condition     = var.web_acl_arn == null || var.rate_limit == null
      error_message = "web_acl_arn and rate_limit are both set, but a distribution has one web ACL. Put a rate-based rule into your own, and remove rate_limit."
    }
    precondition {
      condition     = var.kms_key_arn == null || strcontains(coalesce(var.kms_key_arn, "none"), ":kms:${local.region}:")
      error_message = "kms_key_arn is a key of another region. Buckets, queues and logs need a key of their own region."
    }
    # Role chaining: the API's role assumes the signer role, whose session lasts an hour at most.
    precondition {
      condition     = local.manifest.form_seconds <= local.longest_session
      error_message = "uploads.expires_in is longer than 1h. Forms expire with the session of the signer role, which lasts an hour at most. Shorten it in gatepost.toml and package again."
    }
    precondition {
      condition     = local.signs_links || coalesce(local.manifest.link_seconds, 0) <= local.longest_session
      error_message = "links.max_expires_in is longer than 1h. Without link_keys links expire with the session of the signer role, which lasts an hour at most. Shorten it in gatepost.toml and package again, or set link_keys."
    }
  }
}

data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_region" "this" {}

locals {
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
  # name is deprecated in provider 6, and 5 has no region.
  region = data.aws_region.this.id
}
