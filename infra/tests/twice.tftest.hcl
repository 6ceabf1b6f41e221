# The module as a part of another stack, twice in one account.

mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "us_east_1"
  source = "./tests/mocks_us_east_1"
}

run "a_stack_contains_the_module_twice" {
  command = apply

  module {
    source = "./tests/twice"
  }

  assert {
    condition     = [for name, function in output.edge_functions : can(regex("^${name}-edge-auth-[0-9a-f]{8}$", function))] == [true, true]
    error_message = "The two have the same names, or one was not made."
  }
}
