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
