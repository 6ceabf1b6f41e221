# Optional, and the default of mode "presigned": forms are sent to /upload of the distribution, which passes them on to the
# upload bucket. The page then calls one site alone. [uploads] through = "distribution" in gatepost.toml.

locals {
  posts_to_distribution = local.uploads_through == "distribution" ? 1 : 0
}

# CloudFront does not release a resource that is in use. With create_before_destroy the distribution forgets it first, if
# forms are sent to the bucket again.

resource "aws_cloudfront_function" "upload" {
  count = local.posts_to_distribution

  name    = "${var.name}-upload-viewer-request"
  comment = "Passes forms on to the upload bucket"
  runtime = "cloudfront-js-2.0"
  code    = file("${path.module}/upload-viewer-request.js")
  publish = true

  lifecycle {
    create_before_destroy = true
  }
}

# S3 needs the boundary in Content-Type. Without a policy CloudFront forwards only what the cache policy names, according
# to one page of its documentation, and this header as well according to another. It always sets Host and Content-Length.
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/controlling-origin-requests.html
resource "aws_cloudfront_origin_request_policy" "forms" {
  count = local.posts_to_distribution

  name    = "${var.name}-forms"
  comment = "The type of a form, and nothing else of the viewer"

  cookies_config {
    cookie_behavior = "none"
  }
  headers_config {
    header_behavior = "whitelist"

    headers {
      items = ["content-type"]
    }
  }
  query_strings_config {
    query_string_behavior = "none"
  }

  lifecycle {
    create_before_destroy = true
  }
}
