# Optional rate limit: an address with too many requests is refused for a while, before any other check. A caller's own
# web ACL (var.web_acl_arn) excludes it; its ARN may be unknown in a plan, so the count does not depend on it.

resource "aws_wafv2_web_acl" "this" {
  count    = var.rate_limit == null ? 0 : 1
  provider = aws.us_east_1

  name  = var.name
  scope = "CLOUDFRONT"
  tags  = local.tags

  # When it is switched off, the distribution must release it first: AWS refuses to delete it while it is in use.
  lifecycle {
    create_before_destroy = true
  }

  default_action {
    allow {}
  }

  rule {
    name     = "rate"
    priority = 1

    action {
      block {}
    }

    statement {
      rate_based_statement {
        limit              = var.rate_limit
        aggregate_key_type = "IP"
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name}-rate"
      sampled_requests_enabled   = true
    }
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = var.name
    sampled_requests_enabled   = true
  }
}
