"""The OpenAPI document is valid, and every operation keeps to it whatever it is sent."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.openapi import from_wsgi
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.client import Caller, alone
from tests.api.test_endpoints import ENDPOINTS

CHECKS = (
    schemathesis.checks.not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
LABELS = [f"{e.method} /api/v1{e.path}".replace("<", "{").replace(">", "}") for e in ENDPOINTS]
# The same inputs in every run: a failure here is never somebody else's bad luck.
bounded = settings(
    max_examples=10,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def api(caller) -> Caller:
    """The admin: to them everything opens."""
    return caller("admin")


@pytest.fixture(scope="module")
def document(app):
    return alone(from_wsgi, "/api/openapi.json", app)


def test_the_document_is_valid_and_names_every_endpoint(document):
    document.validate()
    assert {operation.ok().label for operation in document.get_all_operations()} == set(LABELS)


def test_the_document_says_how_a_caller_is_known(app):
    said = Caller(app).get("/api/openapi.json").json
    assert said["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert said["security"] == [{"bearer": []}]
    assert said["paths"]["/api/v1/auth/token"]["post"]["security"] == []


def test_every_operation_says_that_refusals_are_problem_documents(app):
    said = Caller(app).get("/api/openapi.json").json
    for path, operations in said["paths"].items():
        for method in set(operations) - {"parameters"}:
            assert operations[method]["responses"]["default"] == {"$ref": "#/components/responses/DEFAULT_ERROR"}, path
    assert list(said["components"]["responses"]["DEFAULT_ERROR"]["content"]) == ["application/problem+json"]


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
def test_no_input_breaks_an_operation(document, api, world, label, mode):
    operation = document.find_operation_by_label(label)

    @bounded
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case):
        if mode is GenerationMode.POSITIVE:
            # Ids that are somebody's, so that not everything ends at 404.
            case.path_parameters.update({name: world.ids()[name] for name in case.path_parameters})
        response = alone(case.call, headers={"Authorization": f"Bearer {api.token}"})
        case.validate_response(response, checks=CHECKS)

    check()


def test_the_page_of_the_document_is_for_who_is_signed_in(app):
    assert Caller(app).get("/api/docs").location == "/sign-in?next=/api/docs"
