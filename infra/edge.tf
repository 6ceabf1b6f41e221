# edge-auth at viewer-request. CloudFront takes a numbered version from us-east-1 and copies it to the edge; there is no
# environment, so its configuration is in its package.

locals {
  edge_name = "${var.name}-edge-auth"
}

data "aws_iam_policy_document" "edge_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com", "edgelambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "edge" {
  name               = local.edge_name
  assume_role_policy = data.aws_iam_policy_document.edge_trust.json
}

# Its logs lie in the region next to each viewer, under the name of the one that it came from.
data "aws_iam_policy_document" "edge" {
  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["arn:${local.partition}:logs:*:${local.account}:log-group:/aws/lambda/us-east-1.${local.edge_name}:*"]
  }
}

resource "aws_iam_role_policy" "edge" {
  role   = aws_iam_role.edge.id
  policy = data.aws_iam_policy_document.edge.json
}

resource "aws_lambda_function" "edge" {
  provider = aws.us_east_1

  function_name    = local.edge_name
  role             = aws_iam_role.edge.arn
  filename         = "${var.dist}/${local.manifest.edge_auth.file}"
  source_code_hash = local.manifest.edge_auth.source_code_hash
  handler          = local.manifest.edge_auth.handler
  runtime          = var.edge_runtime
  architectures    = ["x86_64"]
  memory_size      = 128
  timeout          = 5
  publish          = true
  skip_destroy     = var.keep_edge_function

  lifecycle {
    precondition {
      condition     = contains(local.manifest.edge_auth.runtimes, var.edge_runtime)
      error_message = "The package was not tested on ${var.edge_runtime}, but on ${join(" and ", local.manifest.edge_auth.runtimes)}."
    }
  }

  # The group of its logs is there before it and goes after it: what is served meanwhile would make one without an end.
  depends_on = [terraform_data.package, aws_iam_role_policy.edge, aws_cloudwatch_log_group.edge]

  # Replicas are deleted hours after the distribution let go of them; until then AWS refuses.
  timeouts {
    delete = "3h"
  }
}

# What the edge writes in the region of the stack; in others AWS makes the group, and keeps it for ever.
resource "aws_cloudwatch_log_group" "edge" {
  name              = "/aws/lambda/us-east-1.${local.edge_name}"
  retention_in_days = var.log_retention_days
}
