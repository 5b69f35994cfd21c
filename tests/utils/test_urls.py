import pytest

from bridge_tf.utils.urls import without_credentials


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3://KEY:SE/CRET@bucket/runs", "s3://***@bucket/runs"),
        ("`storage=ftp://me:word@host/a`: no", "`storage=ftp://***@host/a`: no"),
        ("az://box/a?sv=1&sig=abc%3D", "az://box/a?***"),
        ("--storage='https://me@h/x?token=1' --wait", "--storage='https://***@h/x?***' --wait"),
        ("simplecache::s3://k:s@b two s3://k:s@c", "simplecache::s3://***@b two s3://***@c"),
        ("gs://bucket/folder, me@example.org", "gs://bucket/folder, me@example.org"),
    ],
)
def test_user_password_and_query_are_left_out(text, shown):
    assert without_credentials(text) == shown
