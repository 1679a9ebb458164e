"""Texts with one credential each: all made up, and put together at run time so that no scanner takes one for real."""

import base64
from typing import NamedTuple


class Secret(NamedTuple):
    """A text, the part of it that must go, and parts that must stay."""

    name: str
    text: str
    secret: str
    kept: tuple[str, ...] = ()


def _mixed(length: int) -> str:
    return ("Zq7" + "wK3x" + "P9fT" + "b2Nd" + "R5vY" + "m8Gh" * 8 + "J4sLc6" * 40)[:length]


def _hex(length: int) -> str:
    return ("7c1e" + "90ab" + "3f5d" + "28e6" * 4 + "b41f" * 20)[:length]


def _upper(length: int) -> str:
    return ("Q7WK" + "3XP9" + "FTB2" + "NDR5" * 12)[:length]


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _secret(name: str, secret: str, template: str = "calling with {} now", *kept: str) -> Secret:
    return Secret(name, template.replace("{}", secret), secret, kept or tuple(filter(None, template.split("{}"))))


_DASHES = "-" * 5
_PEM_BODY = "\n".join(_mixed(64)[index:] + _mixed(index) for index in range(4))


def _pem(kind: str, body: str = _PEM_BODY, end: bool = True) -> str:
    closing = f"\n{_DASHES}END {kind}{_DASHES}" if end else ""
    return f"{_DASHES}BEGIN {kind}{_DASHES}\n{body}{closing}"


def _key_block(name: str, text: str) -> Secret:
    return Secret(name, f"read key {text}\n and failed", _mixed(64), ("read key ", " and failed"))


JWT = "ey" + "J" + _mixed(18) + "." + "ey" + "J" + _mixed(40) + "." + _mixed(43)

HEADERS = (
    _secret("bearer header", _mixed(12), "Authorization: Bearer {}"),
    _secret("bearer in a dict", _mixed(30), "{'Authorization': 'Bearer {}', 'Accept': 'text/html'}"),
    _secret("bearer alone", _mixed(32), "sent Bearer {} to the host"),
    _secret("basic header", _b64("user:" + "hunter" + "2"), "Authorization: Basic {}"),
    _secret("basic alone", _b64("user:" + "hunter" + "2"), "the header was Basic {} and the answer 401"),
    _secret("digest response", _hex(32), 'Authorization: Digest username="bob", realm="x", response="{}"',
            "bob", "realm"),
    _secret("token header of Synapse", _hex(40), "Authorization: Token {}"),
    _secret("proxy authorization", _mixed(14), "Proxy-Authorization: Bearer {}"),
    _secret("json authorization", _mixed(24), '"Authorization": "Token {}", "Accept": "*/*"', "Accept"),
    _secret("x-api-key header", _mixed(16), "X-API-Key: {}"),
    _secret("header tuple", _mixed(20), "[('X-Api-Key', '{}')]"),
    _secret("cookie header", _mixed(20), "GET / Cookie: sid={}; theme=dark", "GET / Cookie: sid="),
    _secret("set-cookie header", _mixed(20), "Set-Cookie: sid={}; Path=/; HttpOnly"),
)  # fmt: skip

FORMATS = (
    _secret("jwt", JWT),
    _secret("jwt unsigned", JWT.rpartition(".")[0] + "."),
    _secret("aws access key id", "AK" + "IA" + _upper(16)),
    _secret("aws session key id", "AS" + "IA" + _upper(16)),
    _secret("aws secret key in context", _mixed(40), "aws_secret_access_key = {}"),
    _secret("aws session token in context", _mixed(90), "AWS_SESSION_TOKEN={} python train.py"),
    _secret("google api key", "AI" + "za" + _mixed(35)),
    _secret("google api key in a url", "AI" + "za" + _mixed(35), "https://maps.example.com/api?key={}&q=x"),
    _secret("google oauth client secret", "GOC" + "SPX-" + _mixed(28)),
    _secret("google access token", "ya" + "29." + _mixed(60)),
    _secret("google refresh token", "1/" + "/0" + _mixed(50)),
    _secret("azure storage key", _mixed(86) + "==", "AccountName=data;AccountKey={};EndpointSuffix=core.windows.net"),
    _secret("azure service bus key", _mixed(43) + "=", "Endpoint=sb://x.example.net/;SharedAccessKey={}"),
    _secret("azure sas url", _mixed(43) + "%3D", "https://acc.example.net/c/b?sv=2024-01-01&sr=b&sig={}&se=2026"),
    _secret("azure client secret", "abc" + "8Q" + "~" + _mixed(34)),
    _secret("github token", "gh" + "p_" + _mixed(36)),
    _secret("github oauth token", "gh" + "o_" + _mixed(36)),
    _secret("github user token", "gh" + "u_" + _mixed(36)),
    _secret("github server token", "gh" + "s_" + _mixed(36)),
    _secret("github refresh token", "gh" + "r_" + _mixed(36)),
    _secret("github fine-grained token", "github" + "_pat_" + _mixed(22) + "_" + _mixed(59)),
    _secret("github token in a url", "gh" + "p_" + _mixed(36), "git clone https://{}@github.com/a/b.git"),
    _secret("gitlab token", "gl" + "pat-" + _mixed(20)),
    _secret("slack bot token", "xo" + "xb-" + "123456789012-" + _mixed(24)),
    _secret("slack app token", "xa" + "pp-" + "1-" + _upper(11) + "-" + _hex(40)),
    _secret("slack webhook", "T" + _upper(8) + "/B" + _upper(8) + "/" + _mixed(24),
            "https://hooks.slack.com/services/{}"),
    _secret("discord bot token", "M" + _mixed(25) + "." + _mixed(6) + "." + _mixed(38)),
    _secret("discord webhook", "123456789012345678/" + _mixed(68), "https://discord.com/api/webhooks/{}"),
    _secret("telegram bot token", "123456789:" + "AA" + _mixed(33)),
    _secret("telegram url", "123456789:" + "AA" + _mixed(33), "https://api.telegram.org/bot{}/sendMessage",
            "https://api.telegram.org/", "/sendMessage"),
    _secret("stripe secret key", "sk" + "_live_" + _mixed(24)),
    _secret("stripe restricted key", "rk" + "_live_" + _mixed(24)),
    _secret("twilio api key", "S" + "K" + _hex(32)),
    _secret("twilio auth token in context", _hex(32), "TWILIO_AUTH_TOKEN={}"),
    _secret("sendgrid key", "S" + "G." + _mixed(22) + "." + _mixed(43)),
    _secret("mailgun key", "ke" + "y-" + _hex(32)),
    _secret("npm token", "np" + "m_" + _mixed(36)),
    _secret("pypi token", "py" + "pi-" + "AgEI" + _mixed(80)),
    _secret("hugging face token", "h" + "f_" + _mixed(34)),
    _secret("openai key", "s" + "k-" + _mixed(48)),
    _secret("openai project key", "s" + "k-" + "proj-" + _mixed(20) + "_" + _mixed(40)),
    _secret("anthropic key", "s" + "k-" + "ant-api03-" + _mixed(60)),
    _secret("wandb key in context", _hex(40), "wandb login {}"),
    _secret("wandb key in the environment", _hex(40), "WANDB_API_KEY={}"),
    _secret("databricks token", "da" + "pi" + _hex(32)),
    _secret("digitalocean token", "do" + "p_v1_" + _hex(64)),
    _secret("heroku key", "HR" + "KU-" + "AA" + _mixed(58)),
    _secret("heroku key in context", "89abcdef-0123-" + "4567-89ab-cdef01234567", "HEROKU_API_KEY={}"),
    _secret("shopify token", "shp" + "at_" + _hex(32)),
    _secret("square token", "sq" + "0atp-" + _mixed(22)),
    _secret("vault token", "hv" + "s." + _mixed(24)),
    _secret("docker token", "dckr" + "_pat_" + _mixed(27)),
    _secret("linear key", "lin" + "_api_" + _mixed(40)),
    _secret("notion token", "nt" + "n_" + _mixed(46)),
    _secret("notion token, old", "secret" + "_" + _mixed(43)),
    _secret("postman key", "PM" + "AK-" + _hex(24) + "-" + _hex(34)),
    _secret("new relic key", "NR" + "AK-" + _upper(27)),
    _secret("datadog key in context", _hex(32), "DD-API-KEY: {}"),
    _secret("sentry dsn secret", _hex(32), "https://public:{}@sentry.example.com/1"),
    _secret("sentry dsn", _hex(32), "https://{}@o123.ingest.sentry.example.com/456"),
    _secret("sentry token", "sntry" + "s_" + _mixed(60)),
    _secret("grafana service account", "gl" + "sa_" + _mixed(32) + "_" + _hex(8)),
    _secret("grafana cloud", "gl" + "c_" + _mixed(60)),
    _secret("replicate token", "r" + "8_" + _mixed(37)),
    _secret("groq key", "gs" + "k_" + _mixed(52)),
)  # fmt: skip

URLS = (
    _secret("postgres url", "hunter" + "2", "postgres://bob:{}@db.example.com:5432/app?sslmode=require"),
    _secret("redis url without user", "hunter" + "2", "redis://:{}@cache:6379/0"),
    _secret("amqp url", "p%40ss" + "word", "amqp://guest:{}@mq:5672//"),
    _secret("mongodb url", "hunter" + "2", "mongodb+srv://bob:{}@cluster0.example.net/db"),
    _secret("password with an at sign", "hun@ter" + "2", "https://bob:{}@host/path"),
    _secret("s3 signature", _hex(64), "https://b.example.com/k?X-Amz-Date=20260101&X-Amz-Signature={}&x-id=GetObject"),
    _secret("s3 security token", _mixed(80), "https://b.example.com/k?X-Amz-Security-Token={}&X-Amz-Expires=60"),
    _secret("gcs signature", _hex(64), "https://g.example.com/k?X-Goog-Signature={}"),
    _secret("aws v4 header signature", _hex(64), "SignedHeaders=host;date, Signature={}"),
    _secret("token in a query", _mixed(10), "GET /api/v1/items?page=2&token={}&size=10 200"),
    _secret("access_token in a query", _mixed(10), "https://host/cb#access_token={}&state=1"),
    _secret("api_key in a query", _mixed(10), "https://host/v1?api_key={}"),
)

ASSIGNED = (
    _secret("password=", "hunter" + "2", "connect user=bob password={} host=db"),
    _secret("password: in a config", "hunter" + "2", "user: bob\npassword: {}\nhost: db"),
    _secret("PASSWORD: of letters", "swordfish", "PASSWORD: {}"),
    _secret("password in json", "hunter 2, again", '{"user": "bob", "password": "{}"}'),
    _secret("password in a repr", "hunter" + "2", "Settings(user='bob', password='{}', debug=True)"),
    _secret("password in escaped json", "hunter" + "2", r'body: \"password\": \"{}\", \"user\": \"bob\"'),
    _secret("password with a comma", "hun,ter" + "2", "DB_PASSWORD={}"),
    _secret("odbc password", "hunter" + "2", "Server=db;Uid=bob;Pwd={};Encrypt=yes"),
    _secret("numeric password", "86421", "password={}"),
    _secret("secret in the environment", _mixed(12), "FOO_SECRET={} BAR=1"),
    _secret("exported token", _mixed(12), "export GITHUB_TOKEN='{}'"),
    _secret("--token xyz", "x" + "yz", "tool push --token {} --force"),
    _secret("--password=", "hunter" + "2", "mysql --user=bob --password={} db", "--user=bob"),
    _secret("api key in words", _mixed(20), "Incorrect API key: {}"),
    _secret("token in words", _mixed(12), "invalid token: {}"),
    _secret("camel case", _mixed(12), "clientSecret: {}"),
    _secret("after another assignment", "hunter" + "2", "error: password={}"),
    _secret("curl", "hunter" + "2", "curl -u bob:{} https://host/"),
    _secret("netrc", "hunter" + "2", "machine host login bob password {}"),
    _secret("sshpass", "hunter" + "2", "sshpass -p {} ssh bob@host"),
)  # fmt: skip

KEY_BLOCKS = (
    _key_block("rsa private key", _pem("RSA " + "PRIVATE KEY")),
    _key_block("ec private key", _pem("EC " + "PRIVATE KEY")),
    _key_block("pkcs8 private key", _pem("PRIVATE" + " KEY")),
    _key_block("openssh private key", _pem("OPENSSH " + "PRIVATE KEY")),
    _key_block("encrypted private key", _pem("ENCRYPTED " + "PRIVATE KEY")),
    _key_block(
        "encrypted the old way",
        _pem("RSA " + "PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\n" + _PEM_BODY),
    ),
    _key_block("pgp private key", _pem("PGP " + "PRIVATE KEY BLOCK", "Version: 1\n\n" + _PEM_BODY + "\n=ab12")),
    _key_block("escaped newlines", _pem("PRIVATE" + " KEY").replace("\n", "\\n")),
    _key_block("cut short", _pem("RSA " + "PRIVATE KEY", end=False)),
    _key_block("cut short, escaped", _pem("PRIVATE" + " KEY", end=False).replace("\n", "\\n")),
    Secret(
        "service account json",
        '{"type": "service_account", "private_key": "'
        + _pem("PRIVATE" + " KEY").replace("\n", "\\n")
        + '\\n", "a": 1}',
        _mixed(64),
        ('"type": "service_account"', '"a": 1'),
    ),
)

SECRETS = (*HEADERS, *FORMATS, *URLS, *ASSIGNED, *KEY_BLOCKS)
