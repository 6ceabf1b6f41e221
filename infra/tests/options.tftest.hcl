# What companies ask of a module: their own keys, boundaries, firewall and logs. Also the choices about the distribution,
# and what a destroy leaves.

mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "us_east_1"
  source = "./tests/mocks_us_east_1"
}

variables {
  dist = "./tests/dist"
}

run "a_destroy_keeps_the_function_at_the_edge" {
  command = plan

  module {
    source = "./modules/gatepost"
  }
  providers = {
    aws           = aws
    aws.us_east_1 = aws.us_east_1
  }

  assert {
    condition     = aws_lambda_function.edge.skip_destroy
    error_message = "A destroy waits for hours for the function at the edge."
  }
}

run "a_destroy_can_wait_for_the_function_at_the_edge" {
  command = plan

  module {
    source = "./modules/gatepost"
  }
  providers = {
    aws           = aws
    aws.us_east_1 = aws.us_east_1
  }

  variables {
    keep_edge_function = false
  }

  assert {
    condition     = !aws_lambda_function.edge.skip_destroy
    error_message = "The function at the edge stays although it should not."
  }
}

run "roles_have_a_permissions_boundary" {
  command = plan

  module {
    source = "./modules/gatepost"
  }
  providers = {
    aws           = aws
    aws.us_east_1 = aws.us_east_1
  }
  variables {
    permissions_boundary = "arn:aws:iam::123456789012:policy/boundary"
    malware_protection   = true
  }

  assert {
    condition = toset([
      for role in concat(
        [aws_iam_role.api, aws_iam_role.signer, aws_iam_role.processor, aws_iam_role.edge],
        aws_iam_role.guardduty, aws_iam_role.sweep,
      ) : role.permissions_boundary
    ]) == toset(["arn:aws:iam::123456789012:policy/boundary"])
    error_message = "A role can do more than the boundary allows."
  }
}

run "a_permissions_boundary_is_a_policy" {
  command = plan

  module {
    source = "./modules/gatepost"
  }
  providers = {
    aws           = aws
    aws.us_east_1 = aws.us_east_1
  }
  variables {
    permissions_boundary = "arn:aws:iam::123456789012:role/boundary"
  }

  expect_failures = [var.permissions_boundary]
}
