"""The servers that tests lean on are real and answer."""

import http.server
import threading

import httpx


def test_postgres_gives_each_test_an_empty_database(postgres_url):
    import sqlalchemy

    engine = sqlalchemy.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE t (n int)"))
        release = connection.execute(sqlalchemy.text("SHOW server_version_num")).scalar_one()
    engine.dispose()
    assert int(release) >= 150_000


def test_the_s3_server_keeps_what_it_is_given(s3_server):
    import obstore
    from obstore.store import S3Store

    store = S3Store(
        s3_server.new_bucket(),
        endpoint=s3_server.url,
        access_key_id=s3_server.access_key,
        secret_access_key=s3_server.secret_key,
        region=s3_server.region,
        client_options={"allow_http": True},
    )
    obstore.put(store, "a/b", b"bytes")
    assert bytes(obstore.get(store, "a/b").bytes()) == b"bytes"


def test_the_proxy_passes_requests_on_and_logs_them(squid_proxy):
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        answer = httpx.get(f"http://127.0.0.1:{server.server_port}/through", proxy=squid_proxy.url, timeout=20)
    assert answer.status_code == 204
    assert squid_proxy.saw("/through")
