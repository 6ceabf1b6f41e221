# Optional: links that CloudFront checks, below /shared/, with a key of the account's own. Without it links are the
# bucket's, which work as well, and are not cached at the edge.

locals {
  signs_links = nonsensitive(var.link_keys != null)
}

resource "aws_cloudfront_public_key" "links" {
  count = local.signs_links ? 1 : 0

  name_prefix = "${var.name}-links-"
  comment     = "Links of the signing API"
  # Without a line break at its end every plan would replace it.
  encoded_key = "${trimspace(nonsensitive(var.link_keys.public))}\n"

  lifecycle {
    # What the old one signed goes on until the new one is in the group.
    create_before_destroy = true

    precondition {
      condition     = var.domain != null
      error_message = "link_keys wants domain: the distribution's own name is not known before the function that signs for it."
    }
  }
}

resource "aws_cloudfront_key_group" "links" {
  count = local.signs_links ? 1 : 0

  name    = "${var.name}-links"
  comment = "Who may sign links"
  items   = concat(aws_cloudfront_public_key.links[*].id, var.former_link_key_ids)
}

resource "aws_cloudfront_function" "shared" {
  count = local.signs_links ? 1 : 0

  name    = "${var.name}-shared-viewer-request"
  comment = "Takes /shared off the path"
  runtime = "cloudfront-js-2.0"
  code    = file("${path.module}/shared-viewer-request.js")
  publish = true
}
