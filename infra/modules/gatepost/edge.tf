# Mode "lambda": edge-auth at viewer-request. CloudFront copies a numbered version from us-east-1 to the edge.
# Environment variables are not supported there, so the configuration is in the package.

locals {
  at_lambda = local.delivery.mode == "lambda" ? 1 : 0
  edge_name = "${var.name}-edge-auth"
  # A kept function still has its name. So each stack's function has a name that no earlier one had, and the stack can be
  # created again at once.
  edge_function_name = one([for edge in terraform_data.edge : "${local.edge_name}-${substr(edge.id, 0, 8)}"])
}

resource "terraform_data" "edge" {
  count = local.at_lambda
}

data "aws_iam_policy_document" "edge_trust" {
  count = local.at_lambda

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com", "edgelambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "edge" {
  count = local.at_lambda

  name                 = local.edge_name
  assume_role_policy   = data.aws_iam_policy_document.edge_trust[0].json
  permissions_boundary = var.permissions_boundary
  tags                 = local.tags
}

# Its logs are in the region next to each viewer, under a name that begins with the function's own region.
data "aws_iam_policy_document" "edge" {
  count = local.at_lambda

  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["arn:${local.partition}:logs:*:${local.account}:log-group:/aws/lambda/us-east-1.${local.edge_function_name}:*"]
  }
}

resource "aws_iam_role_policy" "edge" {
  count = local.at_lambda

  role   = aws_iam_role.edge[0].id
  policy = data.aws_iam_policy_document.edge[0].json
}

resource "aws_lambda_function" "edge" {
  count    = local.at_lambda
  provider = aws.us_east_1

  function_name    = local.edge_function_name
  role             = aws_iam_role.edge[0].arn
  filename         = "${var.dist}/${local.manifest.edge_auth.file}"
  source_code_hash = local.manifest.edge_auth.source_code_hash
  handler          = local.manifest.edge_auth.handler
  runtime          = var.edge_runtime
  architectures    = ["x86_64"]
  memory_size      = 128
  timeout          = 5
  publish          = true
  skip_destroy     = var.keep_edge_function
  tags             = local.tags

  lifecycle {
    # The distribution releases it before it is deleted, if the mode changes.
    create_before_destroy = true

    precondition {
      condition     = contains(local.manifest.edge_auth.runtimes, var.edge_runtime)
      error_message = "edge_runtime is ${var.edge_runtime}, but the package was tested only on ${join(" and ", local.manifest.edge_auth.runtimes)}. Use one of these."
    }
  }

  # The log group exists before the function and is deleted after it. Otherwise a request in between would create a group
  # without a retention.
  depends_on = [terraform_data.package, aws_iam_role_policy.edge, aws_cloudwatch_log_group.edge]

  # AWS deletes replicas hours after the distribution released them, and refuses to delete the function until then.
  timeouts {
    delete = "3h"
  }
}

# The edge's log group in the region of the stack. In other regions AWS creates the group, without a retention.
resource "aws_cloudwatch_log_group" "edge" {
  count = local.at_lambda

  name              = "/aws/lambda/us-east-1.${local.edge_function_name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = local.tags
}
