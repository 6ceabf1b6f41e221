# Gatepost as a stack of its own: the module with two providers. To make it a part of your own stack, call
# modules/gatepost as it is called here.

terraform {
  required_version = ">= 1.7"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}

provider "aws" {
  region = var.region
}

# CloudFront's resources are in us-east-1: the function at the edge, its alarms, the firewall.
provider "aws" {
  alias  = "us_east_1"
  region = "us-east-1"
}

module "gatepost" {
  source = "./modules/gatepost"

  providers = {
    aws           = aws
    aws.us_east_1 = aws.us_east_1
  }

  name                    = var.name
  dist                    = var.dist
  origins                 = var.origins
  domain                  = var.domain
  link_keys               = var.link_keys
  session_key             = var.session_key
  price_class             = var.price_class
  processor               = var.processor
  rejected_retention_days = var.rejected_retention_days
  upload_retention_days   = var.upload_retention_days
  log_retention_days      = var.log_retention_days
  alarm_topic_arn         = var.alarm_topic_arn
  rate_limit              = var.rate_limit
  malware_protection      = var.malware_protection
  sweep                   = var.sweep
  edge_runtime            = var.edge_runtime
  keep_edge_function      = var.keep_edge_function
  delete_data_on_destroy  = var.delete_data_on_destroy
  permissions_boundary    = var.permissions_boundary
  web_acl_arn             = var.web_acl_arn
  access_logs             = var.access_logs
  origin_shield           = var.origin_shield
  http3                   = var.http3
  kms_key_arn             = var.kms_key_arn
  session_store           = var.session_store
  session_store_readers   = var.session_store_readers
  tags                    = var.tags
}
