# Optional: links below /shared/ that CloudFront checks, with the account's own key. Without it the bucket signs links,
# which are not cached at the edge.
#
# Mode "signed" needs the key: CloudFront also checks the cookies of the rules' paths with it, and no code runs there. A
# link is for its path below /shared/ alone, and a cookie for its folder, so neither opens what the other does.

locals {
  at_signed   = local.delivery.mode == "signed" ? 1 : 0
  signs_links = nonsensitive(var.link_keys != null)

  # Public halves in CloudFront's form, 64 characters a line, from any accepted form. The first one signs.
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
  # Keyed by a part of their digest, so that a key remains the same resource when another one signs.
  link_public_keys = { for pem in distinct(local.link_pems) : substr(sha256(pem), 0, 12) => pem }
  link_key_id = (local.signs_links
    ? aws_cloudfront_public_key.links[substr(sha256(local.link_pems[0]), 0, 12)].id
  : null)
}

# CloudFront refuses to delete a resource that is in use. With create_before_destroy a removed resource is released first
# and deleted afterwards.

resource "aws_cloudfront_public_key" "links" {
  for_each = local.link_public_keys

  name    = "${var.name}-links-${each.key}"
  comment = "Links and cookies of the signing API"
  # Without the final line break every plan would replace it.
  encoded_key = "${each.value}\n"

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_cloudfront_key_group" "links" {
  count = local.signs_links ? 1 : 0

  name    = "${var.name}-links"
  comment = "Keys that may sign links and cookies"
  items   = [for key in aws_cloudfront_public_key.links : key.id]

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_cloudfront_function" "shared" {
  count = local.signs_links ? 1 : 0

  # Two names: functions change at once, and the origin's path minutes later. If one changed with the mode, links would
  # lead nowhere meanwhile.
  name    = "${var.name}-shared-${local.at_function == 1 ? "prefix-" : ""}viewer-request"
  comment = "Removes /shared from the path"
  runtime = "cloudfront-js-2.0"
  code    = templatefile("${path.module}/shared-viewer-request.js", { prefix = local.at_function == 1 ? local.origin_path : "" })
  publish = true

  lifecycle {
    create_before_destroy = true
  }
}

# A link must end soon after its object is deleted, and not a day later.
resource "aws_cloudfront_cache_policy" "links" {
  count = local.signs_links ? 1 : 0

  name        = "${var.name}-links"
  comment     = "Objects of links: cached for a minute"
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
