# Another stack that contains Gatepost twice, with every optional part, after something of its own.

terraform {
  required_providers {
    aws = {
      source                = "hashicorp/aws"
      configuration_aliases = [aws.us_east_1]
    }
  }
}

variable "before" {
  type    = string
  default = "first"
}

resource "terraform_data" "before" {
  input = var.before
}

module "gatepost" {
  source   = "../../modules/gatepost"
  for_each = toset(["shop", "club"])

  providers = {
    aws           = aws
    aws.us_east_1 = aws.us_east_1
  }

  name                   = each.key
  dist                   = "./tests/dist"
  delete_data_on_destroy = true
  malware_protection     = true
  rate_limit             = 2000
  link_keys = {
    public             = "-----BEGIN PUBLIC KEY-----\nof a test\n-----END PUBLIC KEY-----"
    private_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:links-AbCdEf"
  }

  depends_on = [terraform_data.before]
}

output "edge_functions" {
  value = { for name, stack in module.gatepost : name => stack.edge_function_name }
}
