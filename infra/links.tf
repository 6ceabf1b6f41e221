# Optional: links that CloudFront checks, below /shared/, with a key of the account's own. Without it links are the
# bucket's, which work as well, and are not cached at the edge.

locals {
  signs_links = nonsensitive(var.link_keys != null)

  # Public halves as CloudFront takes them, 64 characters a line, however they were handed over. The first one signs.
  link_pems = local.signs_links ? [
    for pem in concat(
      [nonsensitive(var.link_keys.public)],
      nonsensitive(var.link_keys.next)[*],
      nonsensitive(var.link_keys.former),
      ) : join("\n", concat(
        ["-----BEGIN PUBLIC KEY-----"],
        regexall(".{1,64}", replace(
          regex("-----BEGIN PUBLIC KEY-----((?:[A-Za-z0-9+/=\\s]|\\\\+[nr])+)-----END PUBLIC KEY-----", pem)[0],
          "/\\\\+[nr]|\\s/", "",
        )),
        ["-----END PUBLIC KEY-----"],
    ))
  ] : []
  # By a part of their digest: whichever of them signs, a key that is known stays the key that it is.
  link_public_keys = { for pem in distinct(local.link_pems) : substr(sha256(pem), 0, 12) => pem }
  link_key_id = (local.signs_links
    ? aws_cloudfront_public_key.links[substr(sha256(local.link_pems[0]), 0, 12)].id
  : null)
}

# CloudFront deletes nothing that is in use. With create_before_destroy whatever is switched off or taken out is let go of
# first, and deleted then.

resource "aws_cloudfront_public_key" "links" {
  for_each = local.link_public_keys

  name    = "${var.name}-links-${each.key}"
  comment = "Links of the signing API"
  # Without a line break at its end every plan would replace it.
  encoded_key = "${each.value}\n"

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_cloudfront_key_group" "links" {
  count = local.signs_links ? 1 : 0

  name    = "${var.name}-links"
  comment = "Who may sign links"
  items   = [for key in aws_cloudfront_public_key.links : key.id]

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_cloudfront_function" "shared" {
  count = local.signs_links ? 1 : 0

  name    = "${var.name}-shared-viewer-request"
  comment = "Takes /shared off the path"
  runtime = "cloudfront-js-2.0"
  code    = file("${path.module}/shared-viewer-request.js")
  publish = true

  lifecycle {
    create_before_destroy = true
  }
}

# A link that was handed out is to end when what it shows is deleted, and not a day later.
resource "aws_cloudfront_cache_policy" "links" {
  count = local.signs_links ? 1 : 0

  name        = "${var.name}-links"
  comment     = "What links show: a minute at a time"
  min_ttl     = 60
  default_ttl = 60
  max_ttl     = 60

  parameters_in_cache_key_and_forwarded_to_origin {
    cookies_config {
      cookie_behavior = "none"
    }
    headers_config {
      header_behavior = "whitelist"

      headers {
        items = ["x-gatepost-shared"]
      }
    }
    query_strings_config {
      query_string_behavior = "none"
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}
