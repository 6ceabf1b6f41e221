# The root module: the region of its providers.

mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "us_east_1"
  source = "./tests/mocks_us_east_1"
}

variables {
  dist = "./tests/dist"
  # The guard's provisioner runs when a test's state is destroyed, although nothing exists.
  delete_data_on_destroy = true
}

run "the_stack_is_complete_with_a_region" {
  command = apply

  variables {
    region = "eu-central-1"
  }

  assert {
    condition     = output.url == "https://d111111abcdef8.cloudfront.net/" && output.config_sha256 == "made-for-tests"
    error_message = "The root module's outputs are not the module's."
  }
}

run "a_region_is_named" {
  command = plan

  variables {
    region = "europe"
  }

  expect_failures = [var.region]
}
