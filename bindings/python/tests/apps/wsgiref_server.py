"""The Flask application on the server of the standard library, which has the decoded path alone."""

import sys
from wsgiref.simple_server import make_server

from flask_app import app

make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
