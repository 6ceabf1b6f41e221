# Reads the Terraform files, for properties that no plan shows. texts.tftest.hcl tests the outputs.

locals {
  root   = "${path.module}/../.."
  module = "${local.root}/modules/gatepost"

  # Each block of a kind: its labels, and its body without comments.
  variable = "(?m)^variable \"(\\w+)\" \\{\\n((?:  .*\\n|\\n)*)\\}"
  output   = "(?m)^output \"(\\w+)\" \\{\\n  description = (.*)\\n  value +=(?: (module\\.gatepost\\.\\w+)\\n)?"
  resource = "(?m)^resource \"(\\w+)\" \"(\\w+)\" \\{\\n((?:  .*\\n|\\n)*)\\}"
  resources = flatten([for file in fileset(local.module, "*.tf") : [for found in regexall(local.resource, file("${local.module}/${file}")) : {
    type    = found[0]
    address = "${found[0]}.${found[1]}"
    body    = found[2]
  }]])
}

output "root_variables" {
  value = { for found in regexall(local.variable, file("${local.root}/variables.tf")) : found[0] => found[1] if found[0] != "region" }
}

# Without validations and their comments.
output "module_variables" {
  value = {
    for found in regexall(local.variable, file("${local.module}/variables.tf")) :
    found[0] => replace(found[1], "/\\n?(  #.*\\n)*  validation \\{\\n(    .*\\n)*  \\}\\n/", "")
  }
}

output "handed_over" {
  value = { for found in regexall("(?m)^  (\\w+) += var\\.(\\w+)$", file("${local.root}/main.tf")) : found[0] => found[1] if found[0] != "region" }
}

output "root_outputs" {
  value = { for found in regexall(local.output, file("${local.root}/outputs.tf")) : found[0] => [found[1], found[2]] }
}

output "module_outputs" {
  value = { for found in regexall(local.output, file("${local.module}/outputs.tf")) : found[0] => [found[1], "module.gatepost.${found[0]}"] }
}

# Of the types that have tags, in provider 5.100.
output "untagged" {
  value = [
    for resource in local.resources : resource.address if !can(regex("(?m)^  tags += local\\.tags$", resource.body)) && contains([
      "aws_cloudfront_distribution", "aws_cloudwatch_event_rule", "aws_cloudwatch_log_delivery",
      "aws_cloudwatch_log_delivery_destination", "aws_cloudwatch_log_delivery_source", "aws_cloudwatch_log_group",
      "aws_cloudwatch_metric_alarm", "aws_guardduty_malware_protection_plan", "aws_iam_role", "aws_lambda_event_source_mapping",
      "aws_lambda_function", "aws_s3_bucket", "aws_s3_object", "aws_scheduler_schedule_group", "aws_secretsmanager_secret",
      "aws_sqs_queue", "aws_wafv2_web_acl",
    ], resource.type)
  ]
}

# An account accepts a name once for each kind. Two instances of the module differ in var.name alone.
output "named_without_the_stack" {
  value = flatten([
    for file in fileset(local.module, "*.tf") : [
      for line in regexall("(?m)^  (?:name|(?:alarm|api|dashboard|edge|edge_function|function|processor)_name|bucket) += .*$", file("${local.module}/${file}")) : "${file}: ${line}"
      if !can(regex("var\\.name|local\\.(api|edge|edge_function|processor)_name|each\\.value\\.function_name|= aws_", line))
    ]
  ])
}

output "unbounded_roles" {
  value = [
    for resource in local.resources : resource.address
    if resource.type == "aws_iam_role" && !can(regex("(?m)^  permissions_boundary += var\\.permissions_boundary$", resource.body))
  ]
}

output "unencrypted" {
  value = [
    for resource in local.resources : resource.address
    if contains(["aws_s3_bucket_server_side_encryption_configuration", "aws_sqs_queue", "aws_cloudwatch_log_group", "aws_secretsmanager_secret"], resource.type)
    && !can(regex("(?m)^ +(kms_master_key_id|kms_key_id) += var\\.kms_key_arn$", resource.body))
  ]
}

output "unguarded" {
  value = setsubtract(
    [for resource in local.resources : resource.address if resource.address != "terraform_data.guard"],
    flatten(regexall("(?m)^    (\\w+\\.\\w+),$", file("${local.module}/guard.tf"))),
  )
}

output "resources" {
  value = [for resource in local.resources : resource.address]
}
