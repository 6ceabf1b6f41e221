# Optional access logs of the distribution: CloudFront's standard logging v2, into a bucket of the caller.
#
# The older standard logs need a bucket with ACLs, which new buckets do not have, and always contain the query string,
# which is the signature of a link. In v2 the fields are chosen. AWS adds its statement to the bucket's policy itself, if
# the caller of apply may change that policy.

locals {
  logs_access = var.access_logs == null ? 0 : 1
}

resource "aws_cloudwatch_log_delivery_source" "access" {
  count    = local.logs_access
  provider = aws.us_east_1

  name         = "${var.name}-access"
  log_type     = "ACCESS_LOGS"
  resource_arn = aws_cloudfront_distribution.this.arn
  tags         = local.tags
}

resource "aws_cloudwatch_log_delivery_destination" "access" {
  count    = local.logs_access
  provider = aws.us_east_1

  name          = "${var.name}-access"
  output_format = "json"

  delivery_destination_configuration {
    destination_resource_arn = var.access_logs.bucket_arn
  }

  tags = local.tags
}

resource "aws_cloudwatch_log_delivery" "access" {
  count    = local.logs_access
  provider = aws.us_east_1

  delivery_source_name     = aws_cloudwatch_log_delivery_source.access[0].name
  delivery_destination_arn = aws_cloudwatch_log_delivery_destination.access[0].arn
  record_fields            = var.access_logs.fields
  tags                     = local.tags
}
