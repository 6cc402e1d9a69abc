"""The orders API in Django, by WSGI (`wsgi`) and by ASGI (`asgi`)."""

import os
from typing import Any, Union

import django
import jeton.asgi
import jeton.wsgi
from authorizer import authorizer
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="of-tests", DEBUG=False, USE_TZ=True, MIDDLEWARE=[]
)
django.setup()


def caller_of(request: Any) -> Union[jeton.Principal, None]:
    """Who calls, whichever way the request came."""
    caller: Union[jeton.Principal, None]
    if hasattr(request, "scope"):
        caller = request.scope["state"]["principal"]
    else:
        caller = request.environ["jeton.principal"]
    return caller


def health(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"process": os.getpid(), "caller": caller_of(request) is not None})


def orders(request: HttpRequest, tenant: str) -> JsonResponse:
    caller = caller_of(request)
    assert caller is not None
    answer = {"tenant": tenant, "read_by": caller.client, "scopes": caller.scopes, "process": os.getpid()}
    return JsonResponse(answer)


def refund(request: HttpRequest, tenant: str, order: str) -> JsonResponse:
    caller = caller_of(request)
    assert caller is not None
    return JsonResponse({"tenant": tenant, "refunded": order, "by": caller.client})


urlpatterns = [
    path("healthz", health),
    path("tenants/<str:tenant>/orders", orders),
    path("tenants/<str:tenant>/orders/<str:order>/refund", refund),
]

wsgi = jeton.wsgi.Protect(get_wsgi_application(), authorizer)
asgi = jeton.asgi.Protect(get_asgi_application(), authorizer)
