# One distribution, one name: the page, the API below /api/, and the paths of the configuration's rules.

locals {
  # CloudFront's own policies, the same in every account.
  caching_disabled              = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
  all_viewer_except_host_header = "b689b0a8-53d0-40ab-baf2-68738e2966ac"

  api_domain = trimsuffix(trimprefix(aws_lambda_function_url.api.function_url, "https://"), "/")

  # The processor's own objects never change. For other objects the origin's Cache-Control sets the TTL.
  is_ours = { for path in local.delivery.paths : path => startswith(path, "/media/") }
  # No rule about it needs the viewer's identity.
  is_public = { for path in local.delivery.paths : path => contains(local.delivery.public_paths, path) }

  # The bucket checks the signatures of these paths, so CloudFront must not sign there.
  is_presigned = { for path in local.delivery.paths : path => local.at_presigned == 1 && !local.is_public[path] }

  cached_as = { for path in local.delivery.paths : path => (
    local.at_function == 1 ? aws_cloudfront_cache_policy.gated[local.is_ours[path] ? "media" : "other"].id
    : local.is_presigned[path] ? aws_cloudfront_cache_policy.presigned[0].id
    : local.is_ours[path] ? aws_cloudfront_cache_policy.media.id : aws_cloudfront_cache_policy.origin_decides.id
  ) }

  # The code at the edge answers preflights. CloudFront's and S3's signatures are for GET and HEAD.
  edge_methods = ["GET", "HEAD", "OPTIONS"]
  asks_code    = local.at_lambda + local.at_function == 1

  # A minimum TTL makes CloudFront cache objects that are stored as private.
  kept_for_a_day = { min_ttl = 86400, default_ttl = 86400, max_ttl = 31536000, compressed = false }
  kept_as_stored = { min_ttl = 0, default_ttl = 0, max_ttl = 31536000, compressed = true }

  # The edge answers preflights before a policy applies. CloudFront still requires these lists, and refuses empty ones.
  cors_methods = setintersection(
    try(local.manifest.cors.methods, []),
    ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"],
  )
  cors_headers = try(coalescelist(local.manifest.cors.headers, ["accept"]), [])
}

resource "aws_cloudfront_origin_access_control" "s3" {
  name                              = "${var.name}-s3"
  description                       = "Signs requests to the buckets"
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

resource "aws_cloudfront_origin_access_control" "api" {
  name                              = "${var.name}-api"
  description                       = "Signs requests to the function URL"
  origin_access_control_origin_type = "lambda"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

resource "aws_cloudfront_function" "api" {
  name    = "${var.name}-api-viewer-request"
  comment = "Tells the API what the viewer sent, and to which distribution"
  runtime = "cloudfront-js-2.0"
  code    = file("${path.module}/api-viewer-request.js")
  publish = true
}

resource "aws_cloudfront_cache_policy" "media" {
  name        = "${var.name}-media"
  comment     = "Renditions: cached for at least a day"
  min_ttl     = local.kept_for_a_day.min_ttl
  default_ttl = local.kept_for_a_day.default_ttl
  max_ttl     = local.kept_for_a_day.max_ttl

  parameters_in_cache_key_and_forwarded_to_origin {
    cookies_config {
      cookie_behavior = "none"
    }
    headers_config {
      header_behavior = "none"
    }
    query_strings_config {
      query_string_behavior = "none"
    }
  }
}

resource "aws_cloudfront_cache_policy" "origin_decides" {
  name        = "${var.name}-origin-decides"
  comment     = "As long as the object's Cache-Control says"
  min_ttl     = local.kept_as_stored.min_ttl
  default_ttl = local.kept_as_stored.default_ttl
  max_ttl     = local.kept_as_stored.max_ttl

  parameters_in_cache_key_and_forwarded_to_origin {
    cookies_config {
      cookie_behavior = "none"
    }
    headers_config {
      header_behavior = "none"
    }
    query_strings_config {
      query_string_behavior = "none"
    }
    enable_accept_encoding_brotli = local.kept_as_stored.compressed
    enable_accept_encoding_gzip   = local.kept_as_stored.compressed
  }
}

# The headers for browsers. CloudFront's own cache obeys the Cache-Control stored with the object, which viewers see only
# for public media. The processor's objects never change, but a browser that kept private ones would show them to the
# next person at the same machine. Objects from other sources may be stored as public; behind an authorizer they must
# not be sent as such. No cookie decides about presigned URLs, so other sites may show their pictures, as with links.
locals {
  revalidated     = "private, no-cache"
  private_sharing = local.at_presigned == 1 ? "cross-origin" : "same-site"
  served = {
    media = {
      comment = "Private media: browsers revalidate each time, or as often as configured"
      cache_control = (local.manifest.browser_cache_seconds > 0
        ? "private, max-age=${local.manifest.browser_cache_seconds}"
      : local.revalidated)
      resource_policy = local.private_sharing
    }
    guarded      = { comment = "Other private objects", cache_control = local.revalidated, resource_policy = local.private_sharing }
    public_media = { comment = "Public media: as stored", cache_control = null, resource_policy = "cross-origin" }
    public       = { comment = "Other public objects", cache_control = local.revalidated, resource_policy = "cross-origin" }
  }
  # By path, because a behaviour has one policy.
  served_as = { for path in local.delivery.paths : path => (
    local.is_public[path]
    ? (local.is_ours[path] ? "public_media" : "public")
    : (local.is_ours[path] ? "media" : "guarded")
  ) }
}

resource "aws_cloudfront_response_headers_policy" "served" {
  for_each = local.served

  name    = "${var.name}-${each.key}"
  comment = each.value.comment

  security_headers_config {
    content_type_options {
      override = true
    }
    content_security_policy {
      content_security_policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
      override                = true
    }
    strict_transport_security {
      access_control_max_age_sec = 31536000
      override                   = true
    }
  }

  dynamic "cors_config" {
    for_each = try(local.manifest.cors, null)[*]

    content {
      access_control_allow_credentials = cors_config.value.credentials
      access_control_max_age_sec       = cors_config.value.max_age_seconds
      origin_override                  = true

      access_control_allow_origins {
        items = cors_config.value.origins
      }
      access_control_allow_methods {
        items = local.cors_methods
      }
      access_control_allow_headers {
        items = local.cors_headers
      }
    }
  }

  custom_headers_config {
    items {
      header   = "Cross-Origin-Resource-Policy"
      value    = each.value.resource_policy
      override = true
    }

    dynamic "items" {
      for_each = each.value.cache_control[*]

      content {
        header   = "Cache-Control"
        value    = items.value
        override = true
      }
    }
  }
}

resource "aws_cloudfront_response_headers_policy" "page" {
  name    = "${var.name}-page"
  comment = "The page calls its own site, the identity provider and where forms are sent"

  security_headers_config {
    content_type_options {
      override = true
    }
    referrer_policy {
      referrer_policy = "same-origin"
      override        = true
    }
    content_security_policy {
      content_security_policy = join("; ", [
        "default-src 'self'",
        "img-src 'self' blob: data:",
        join(" ", concat(
          ["connect-src 'self'"],
          local.posts_to_distribution == 1 ? [] : ["https://${aws_s3_bucket.uploads.bucket_regional_domain_name}"],
          local.manifest.web_connects_to,
        )),
        "style-src 'self' 'unsafe-inline'",
        "frame-ancestors 'none'",
        "form-action 'self'",
        "base-uri 'none'",
      ])
      override = true
    }
    strict_transport_security {
      access_control_max_age_sec = 31536000
      override                   = true
    }
  }
}

resource "aws_cloudfront_distribution" "this" {
  enabled             = true
  comment             = "${var.name}: uploads in, authorized images out"
  http_version        = var.http3 ? "http2and3" : "http2"
  is_ipv6_enabled     = true
  price_class         = var.price_class
  default_root_object = "index.html"
  aliases             = var.domain == null ? [] : [var.domain.name]
  web_acl_id          = var.web_acl_arn == null ? one(aws_wafv2_web_acl.this[*].arn) : var.web_acl_arn

  origin {
    origin_id                = "web"
    domain_name              = aws_s3_bucket.web.bucket_regional_domain_name
    origin_access_control_id = aws_cloudfront_origin_access_control.s3.id
  }

  origin {
    origin_id                = "media"
    domain_name              = aws_s3_bucket.media.bucket_regional_domain_name
    origin_path              = local.at_function == 1 ? null : local.origin_path
    origin_access_control_id = aws_cloudfront_origin_access_control.s3.id

    dynamic "origin_shield" {
      for_each = var.origin_shield[*]

      content {
        enabled              = true
        origin_shield_region = origin_shield.value
      }
    }
  }

  # Without origin access control: S3 checks the viewer's own signature, in a URL or in a form. CloudFront uses TLS to S3
  # if the viewer does.
  dynamic "origin" {
    for_each = merge(
      local.at_presigned == 0 ? {} : {
        media-presigned = {
          domain = aws_s3_bucket.media.bucket_regional_domain_name, path = local.origin_path, shield = var.origin_shield
        }
      },
      local.posts_to_distribution == 0 ? {} : {
        uploads = { domain = aws_s3_bucket.uploads.bucket_regional_domain_name, path = null, shield = null }
      },
    )

    content {
      origin_id   = origin.key
      domain_name = origin.value.domain
      origin_path = origin.value.path

      dynamic "origin_shield" {
        for_each = origin.value.shield[*]

        content {
          enabled              = true
          origin_shield_region = origin_shield.value
        }
      }
    }
  }

  origin {
    origin_id                = "api"
    domain_name              = local.api_domain
    origin_access_control_id = aws_cloudfront_origin_access_control.api.id

    custom_origin_config {
      http_port              = 80
      https_port             = 443
      origin_protocol_policy = "https-only"
      origin_ssl_protocols   = ["TLSv1.2"]
    }
  }

  default_cache_behavior {
    target_origin_id           = "web"
    allowed_methods            = ["GET", "HEAD"]
    cached_methods             = ["GET", "HEAD"]
    viewer_protocol_policy     = "redirect-to-https"
    compress                   = true
    cache_policy_id            = aws_cloudfront_cache_policy.origin_decides.id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.page.id
  }

  # Before all others: where functions add the prefix of keys, a viewer's path must not have it.
  dynamic "ordered_cache_behavior" {
    for_each = flatten([for refusal in aws_cloudfront_function.refusal : ["${local.origin_path}/*", local.origin_path]])

    content {
      path_pattern               = ordered_cache_behavior.value
      target_origin_id           = "web"
      allowed_methods            = ["GET", "HEAD"]
      cached_methods             = ["GET", "HEAD"]
      viewer_protocol_policy     = "https-only"
      cache_policy_id            = local.caching_disabled
      response_headers_policy_id = aws_cloudfront_response_headers_policy.served["guarded"].id

      function_association {
        event_type   = "viewer-request"
        function_arn = aws_cloudfront_function.refusal[0].arn
      }
    }
  }

  # The API answers preflights itself: OPTIONS is not cached, and its headers are forwarded like all of the viewer's.
  ordered_cache_behavior {
    path_pattern             = "/api/*"
    target_origin_id         = "api"
    allowed_methods          = ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"]
    cached_methods           = ["GET", "HEAD"]
    viewer_protocol_policy   = "https-only"
    cache_policy_id          = local.caching_disabled
    origin_request_policy_id = local.all_viewer_except_host_header

    function_association {
      event_type   = "viewer-request"
      function_arn = aws_cloudfront_function.api.arn
    }
  }

  # CloudFront accepts POST only together with all other methods. The function refuses those.
  dynamic "ordered_cache_behavior" {
    for_each = aws_cloudfront_function.upload

    content {
      path_pattern               = "/upload"
      target_origin_id           = "uploads"
      allowed_methods            = ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"]
      cached_methods             = ["GET", "HEAD"]
      viewer_protocol_policy     = "https-only"
      cache_policy_id            = local.caching_disabled
      origin_request_policy_id   = aws_cloudfront_origin_request_policy.forms[0].id
      response_headers_policy_id = aws_cloudfront_response_headers_policy.served["guarded"].id

      function_association {
        event_type   = "viewer-request"
        function_arn = ordered_cache_behavior.value.arn
      }
    }
  }

  # Everybody who has a link may see its object, signed in or not.
  dynamic "ordered_cache_behavior" {
    for_each = aws_cloudfront_key_group.links

    content {
      path_pattern               = "/shared/*"
      target_origin_id           = "media"
      allowed_methods            = ["GET", "HEAD"]
      cached_methods             = ["GET", "HEAD"]
      viewer_protocol_policy     = "https-only"
      trusted_key_groups         = [ordered_cache_behavior.value.id]
      cache_policy_id            = aws_cloudfront_cache_policy.links[0].id
      response_headers_policy_id = aws_cloudfront_response_headers_policy.served["public"].id

      function_association {
        event_type   = "viewer-request"
        function_arn = aws_cloudfront_function.shared[0].arn
      }
    }
  }

  # The paths of the rules. Before the cache answers, Lambda@Edge or the gate decides, CloudFront checks the signature of a
  # cookie, or the function of mode "presigned" refuses a request without a signature.
  dynamic "ordered_cache_behavior" {
    for_each = local.delivery.paths

    content {
      path_pattern               = ordered_cache_behavior.value
      target_origin_id           = local.is_presigned[ordered_cache_behavior.value] ? "media-presigned" : "media"
      allowed_methods            = local.asks_code ? local.edge_methods : ["GET", "HEAD"]
      cached_methods             = ["GET", "HEAD"]
      viewer_protocol_policy     = "https-only"
      trusted_key_groups         = local.at_signed == 1 && !local.is_public[ordered_cache_behavior.value] ? aws_cloudfront_key_group.links[*].id : null
      cache_policy_id            = local.cached_as[ordered_cache_behavior.value]
      response_headers_policy_id = aws_cloudfront_response_headers_policy.served[local.served_as[ordered_cache_behavior.value]].id

      dynamic "lambda_function_association" {
        for_each = aws_lambda_function.edge

        content {
          event_type   = "viewer-request"
          lambda_arn   = lambda_function_association.value.qualified_arn
          include_body = false
        }
      }

      dynamic "function_association" {
        for_each = concat(
          aws_cloudfront_function.gate,
          local.is_presigned[ordered_cache_behavior.value] ? aws_cloudfront_function.presigned : [],
        )

        content {
          event_type   = "viewer-request"
          function_arn = function_association.value.arn
        }
      }
    }
  }

  # By default CloudFront caches these errors for ten seconds, regardless of their headers, under a key without the caller:
  # one caller of the API would get another caller's error.
  dynamic "custom_error_response" {
    for_each = [404, 414, 500, 501, 502, 503, 504]

    content {
      error_code            = custom_error_response.value
      error_caching_min_ttl = 0
    }
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    cloudfront_default_certificate = var.domain == null
    acm_certificate_arn            = try(var.domain.certificate_arn, null)
    ssl_support_method             = var.domain == null ? null : "sni-only"
    minimum_protocol_version       = var.domain == null ? "TLSv1" : "TLSv1.2_2021"
  }

  tags = local.tags
}
