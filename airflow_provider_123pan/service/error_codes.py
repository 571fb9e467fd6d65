"""The service's error codes and words, and the entries of the troubleshooting page that explain them."""

from __future__ import annotations

# 429 and its first wording are official, the others observed.
RATE_LIMIT_CODES = frozenset({429, 42902, 42903})
RATE_LIMIT_WORDS = ("请求太频繁", "操作频繁", "请稍后", "访问频繁", "请求过快")
VERIFYING, NO_FILE = 20103, 5066
TOO_MANY_TASKS = "同时下载的任务超出最大限制"
#: The catch-all (official: internal error; observed: almost everything).
INTERNAL = 1
NUMBER_EXCEEDED = "tokens number has exceeded the limit"  # of tokens, with code 401 (observed)
#: Patterns, in any case, of which one is in the message of a login that refuses the client ID or the secret (assumed).
CREDENTIAL_WORDS = (
    *(
        r"client(?! ip)",
        "secret",
        "credential",
        "auth",
        "invalid",
        "not found",
        "wrong",
        r"\bkey\b",
        r"\bapp",
    ),
    *(
        "密钥",
        "密匙",
        "秘钥",
        "密码",
        "凭证",
        "凭据",
        "客户端",
        "登录信息",
        "账号",
        "用户",
        "应用",
        "签名",
        "鉴权",
    ),
    *("认证", "授权", "权限", "参数", "无效", "不存在", "不正确", "有误"),
)
# A failure of the service, whatever else the message says.
SERVICE_FAILURE_WORDS = ("internal error", "internal server error", "invalid memory address", "timeout")
# Both refuse the account rather than the image.
TRAFFIC_EXCEEDED, NO_DEVELOPER = 5113, "无效的登录信息"
NAME_TAKEN, TAKEN = 5060, "文件名重复"  # observed on the cloud drive, a sister product, with code 5060 or 1
#: Codes that say what is wrong, whatever else their message says: it may ask to be patient, as a rate limit does.
SPECIFIC_CODES = frozenset({401, NO_FILE, TRAFFIC_EXCEEDED, NAME_TAKEN})
#: HTTP statuses after which the service may have received the request (assumed).
AMBIGUOUS_STATUSES = frozenset({502, 504})

#: The entries for codes and words that say more than the class of their error. The first that fits counts.
HELP_CODES: tuple[tuple[int | str, str], ...] = (
    (NO_DEVELOPER, "pan123-developer-package"),
    (NUMBER_EXCEEDED, "pan123-token-limit"),
    ("token is expired", "pan123-token-expired"),
    ("forbidden client ip", "pan123-client-blocked"),
    ("解析失败", "pan123-unresolved-url"),
    ("预上传ID不能为空", "pan123-upload-id"),
    (TAKEN, "pan123-name-taken"),
    (NAME_TAKEN, "pan123-name-taken"),
    (NO_FILE, "pan123-no-file"),
    (TRAFFIC_EXCEEDED, "pan123-traffic"),
)


def help_code_of(code: int | None, message: str) -> str | None:
    """Return the entry that explains an answer of the service, or None if the class of its error says enough."""
    return next(
        (entry for sign, entry in HELP_CODES if (sign == code if isinstance(sign, int) else sign in message)),
        None,
    )
