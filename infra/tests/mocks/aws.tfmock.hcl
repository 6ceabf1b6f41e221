# What AWS would answer, for an account that exists on paper only. Buckets and queues have ARNs of their own, so that a
# test can tell a grant about one from a grant about another.

mock_data "aws_caller_identity" {
  defaults = {
    account_id = "123456789012"
  }
}
mock_data "aws_partition" {
  defaults = {
    partition = "aws"
  }
}
mock_data "aws_region" {
  defaults = {
    id = "eu-central-1"
  }
}
mock_data "aws_iam_policy_document" {
  defaults = {
    json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
  }
}
mock_resource "aws_s3_bucket" {
  defaults = {
    arn                         = "arn:aws:s3:::mocked"
    bucket_regional_domain_name = "mocked.s3.eu-central-1.amazonaws.com"
  }
}
mock_resource "aws_sqs_queue" {
  defaults = {
    arn = "arn:aws:sqs:eu-central-1:123456789012:mocked"
    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/mocked"
  }
}
mock_resource "aws_iam_role" {
  defaults = {
    arn = "arn:aws:iam::123456789012:role/mocked"
  }
}
mock_resource "aws_lambda_function" {
  defaults = {
    arn           = "arn:aws:lambda:eu-central-1:123456789012:function:mocked"
    qualified_arn = "arn:aws:lambda:eu-central-1:123456789012:function:mocked:1"
  }
}
mock_resource "aws_lambda_function_url" {
  defaults = {
    function_url = "https://mocked.lambda-url.eu-central-1.on.aws/"
  }
}
mock_resource "aws_cloudwatch_log_group" {
  defaults = {
    arn = "arn:aws:logs:eu-central-1:123456789012:log-group:mocked"
  }
}
mock_resource "aws_cloudfront_distribution" {
  defaults = {
    arn         = "arn:aws:cloudfront::123456789012:distribution/E123"
    domain_name = "d111111abcdef8.cloudfront.net"
  }
}
mock_resource "aws_cloudwatch_event_rule" {
  defaults = {
    arn = "arn:aws:events:eu-central-1:123456789012:rule/mocked"
  }
}
mock_resource "aws_cloudfront_function" {
  defaults = {
    arn = "arn:aws:cloudfront::123456789012:function/mocked"
  }
}
mock_resource "aws_scheduler_schedule_group" {
  defaults = {
    arn = "arn:aws:scheduler:eu-central-1:123456789012:schedule-group/mocked"
  }
}
mock_resource "aws_cloudfront_key_value_store" {
  defaults = {
    arn = "arn:aws:cloudfront::123456789012:key-value-store/mocked"
  }
}
mock_resource "aws_secretsmanager_secret" {
  defaults = {
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:sessions-AbCdEf"
  }
}

override_resource {
  target = aws_s3_bucket.uploads
  values = {
    arn                         = "arn:aws:s3:::uploads"
    bucket_regional_domain_name = "mocked.s3.eu-central-1.amazonaws.com"
  }
}
override_resource {
  target = aws_s3_bucket.media
  values = {
    arn                         = "arn:aws:s3:::media"
    bucket_regional_domain_name = "mocked.s3.eu-central-1.amazonaws.com"
  }
}
override_resource {
  target = aws_sqs_queue.uploads
  values = {
    arn = "arn:aws:sqs:eu-central-1:123456789012:uploads"
    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/uploads"
  }
}
override_resource {
  target = aws_sqs_queue.outcomes
  values = {
    arn = "arn:aws:sqs:eu-central-1:123456789012:outcomes"
    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/outcomes"
  }
}
override_resource {
  target = aws_lambda_function.processor
  values = {
    arn = "arn:aws:lambda:eu-central-1:123456789012:function:processor"
  }
}
override_resource {
  target = aws_iam_role.signer
  values = {
    arn = "arn:aws:iam::123456789012:role/signer"
  }
}
override_resource {
  target = aws_iam_role.sweep
  values = {
    arn = "arn:aws:iam::123456789012:role/sweep"
    id  = "sweep"
  }
}

override_resource {
  target = aws_cloudfront_function.gate
  values = {
    arn = "arn:aws:cloudfront::123456789012:function/gate"
  }
}
override_resource {
  target = aws_cloudfront_function.refusal
  values = {
    arn = "arn:aws:cloudfront::123456789012:function/refusal"
  }
}

override_resource {
  target = aws_cloudfront_function.presigned
  values = {
    arn = "arn:aws:cloudfront::123456789012:function/presigned"
  }
}
override_resource {
  target = aws_cloudfront_function.upload
  values = {
    arn = "arn:aws:cloudfront::123456789012:function/upload"
  }
}

# So that a test can tell which document is where.
override_data {
  target = data.aws_iam_policy_document.processor
  values = {
    json = "{\"Version\":\"2012-10-17\",\"Id\":\"processor\",\"Statement\":[]}"
  }
}
override_data {
  target = data.aws_iam_policy_document.api
  values = {
    json = "{\"Version\":\"2012-10-17\",\"Id\":\"api\",\"Statement\":[]}"
  }
}
override_data {
  target = data.aws_iam_policy_document.invalidation
  values = {
    json = "{\"Version\":\"2012-10-17\",\"Id\":\"invalidation\",\"Statement\":[]}"
  }
}
override_data {
  target = data.aws_iam_policy_document.media
  values = {
    json = "{\"Version\":\"2012-10-17\",\"Id\":\"media\",\"Statement\":[]}"
  }
}
override_data {
  target = data.aws_iam_policy_document.sweep
  values = {
    json = "{\"Version\":\"2012-10-17\",\"Id\":\"sweep\",\"Statement\":[]}"
  }
}
override_data {
  target = data.aws_iam_policy_document.sweep_trust
  values = {
    json = "{\"Version\":\"2012-10-17\",\"Id\":\"sweep_trust\",\"Statement\":[]}"
  }
}
