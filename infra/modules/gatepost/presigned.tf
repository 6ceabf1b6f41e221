# Mode "presigned": S3 checks its own signatures, in URLs of the distribution's name. The API signs them for the media
# bucket's host, CloudFront forwards path and query, and S3 decides. Its origin has no origin access control: with it,
# CloudFront would sign every request itself.
#
# A cached answer needs the whole query of the URL that fetched it: all of the query is in the cache key. Copies from
# another mode have no query in their key, and the function refuses requests without a signature. So no request finds
# them, and a switch of modes needs no invalidation. The objects are protected without the function, too: S3 refuses a
# wrong signature.

locals {
  at_presigned = local.delivery.mode == "presigned" ? 1 : 0
}

# CloudFront does not release a resource that is in use. With create_before_destroy the distribution forgets it first, if
# the mode changes.

resource "aws_cloudfront_function" "presigned" {
  count = local.at_presigned

  name    = "${var.name}-presigned-viewer-request"
  comment = "Refuses requests without S3's signature"
  runtime = "cloudfront-js-2.0"
  code    = file("${path.module}/presigned-viewer-request.js")
  publish = true

  lifecycle {
    create_before_destroy = true
  }
}

# A cached answer outlives its URL by at most a minute. The URL names the answer's Cache-Control: objects are stored as
# private, which CloudFront would not cache at all.
resource "aws_cloudfront_cache_policy" "presigned" {
  count = local.at_presigned

  name        = "${var.name}-presigned"
  comment     = "Objects with S3's signature: cached for a minute at most"
  min_ttl     = 0
  default_ttl = 60
  max_ttl     = 60

  parameters_in_cache_key_and_forwarded_to_origin {
    cookies_config {
      cookie_behavior = "none"
    }
    headers_config {
      header_behavior = "none"
    }
    query_strings_config {
      query_string_behavior = "all"
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}
