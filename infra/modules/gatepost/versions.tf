# The providers come from the caller: with a provider block in here, count, for_each and depends_on would be refused.

terraform {
  required_version = ">= 1.7"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
      # CloudFront's resources are in us-east-1: the function at the edge, its alarms, the firewall.
      configuration_aliases = [aws.us_east_1]
    }
  }
}
