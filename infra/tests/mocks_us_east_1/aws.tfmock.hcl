# What AWS would answer in us-east-1, where everything of the edge is made.

mock_resource "aws_lambda_function" {
  defaults = {
    arn           = "arn:aws:lambda:us-east-1:123456789012:function:mocked"
    qualified_arn = "arn:aws:lambda:us-east-1:123456789012:function:mocked:7"
  }
}
mock_resource "aws_wafv2_web_acl" {
  defaults = {
    arn = "arn:aws:wafv2:us-east-1:123456789012:global/webacl/mocked/1"
  }
}
mock_resource "aws_cloudwatch_log_delivery_destination" {
  defaults = {
    arn = "arn:aws:logs:us-east-1:123456789012:delivery-destination:mocked"
  }
}
