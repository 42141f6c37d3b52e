"""The page on which a person sends one file: plain HTML in two languages, all of it in one piece.

It shows the limit before a file is chosen, says at once when one is larger, and how far it is while
it is sent; what was cancelled or broke off is sent again from the start.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from html import escape

from starlette.responses import HTMLResponse, Response

from atelier.generation.v1.media_pb2 import (
    MEDIA_KIND_AUDIO,
    MEDIA_KIND_IMAGE,
    MEDIA_KIND_VIDEO,
)
from atelier.generation.v1.upload_link_pb2 import UploadLink

WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "Send a file",
        "image": "a photo",
        "video": "a video",
        "audio": "a sound recording",
        "or": "or",
        "what": "Choose {kinds} of up to {limit} MB.",
        "once": "This page takes one file and works until {time} UTC.",
        "private": "The place, the camera and other details about you are removed.",
        "choose": "Choose a file",
        "cancel": "Cancel",
        "again": "Try again",
        "sending": "Sending: {sent} of {size} MB. Please keep this page open.",
        "checking": "Checking the file…",
        "done": "Done, the file is here. Go back to the chat and continue.",
        "sent": "The file of this page has been sent already. Go back to the chat.",
        "back": "Back to the chat",
        "large": "This file has {size} MB. The limit is {limit} MB.",
        "rejected": "This file cannot be used: {reason}",
        "cancelled": "Cancelled. You can choose a file again.",
        "broken": "The connection broke off. Please try again.",
        "busy": "There is no room at the moment. Please try again in a minute.",
        "gone": "This link is invalid or has expired. Ask for a new one in the chat.",
        "script": "This page needs JavaScript.",
        "mb": "MB",
    },
    "ru": {
        "title": "Отправка файла",
        "image": "фото",
        "video": "видео",
        "audio": "звукозапись",
        "or": "или",
        "what": "Выберите {kinds} размером до {limit} МБ.",
        "once": "Страница принимает один файл и работает до {time} UTC.",
        "private": "Место съёмки, модель камеры и другие сведения о вас будут удалены.",
        "choose": "Выбрать файл",
        "cancel": "Отменить",
        "again": "Попробовать ещё раз",
        "sending": "Отправлено {sent} из {size} МБ. Не закрывайте страницу.",
        "checking": "Проверяем файл…",
        "done": "Готово, файл получен. Вернитесь в чат и продолжите.",
        "sent": "Файл по этой ссылке уже отправлен. Вернитесь в чат.",
        "back": "Вернуться в чат",
        "large": "Размер файла — {size} МБ, а можно не больше {limit} МБ.",
        "rejected": "Этот файл не подойдёт: он повреждён, не того вида или слишком велик.",
        "cancelled": "Отменено. Можно выбрать файл снова.",
        "broken": "Соединение прервалось. Попробуйте ещё раз.",
        "busy": "Сейчас нет места. Попробуйте через минуту.",
        "gone": "Ссылка недействительна или устарела. Попросите новую в чате.",
        "script": "Для этой страницы нужен JavaScript.",
        "mb": "МБ",
    },
}
"""What the page says, by language."""
_KINDS: Mapping[int, str] = {
    MEDIA_KIND_IMAGE: "image",
    MEDIA_KIND_VIDEO: "video",
    MEDIA_KIND_AUDIO: "audio",
}
_STYLE = """
:root{color-scheme:light dark}
body{font:17px/1.45 system-ui,sans-serif;margin:0;padding:1.5rem 1.25rem;max-width:30rem;
margin-inline:auto}
h1{font-size:1.5rem;margin:.25rem 0 1rem}
p{margin:.5rem 0}
.quiet{opacity:.7;font-size:.9rem}
input[type=file]{position:absolute;width:1px;height:1px;opacity:0}
label,button,.back{display:block;box-sizing:border-box;width:100%;margin:1rem 0 0;padding:.9rem;
border:0;border-radius:.75rem;font:inherit;font-weight:600;text-align:center;cursor:pointer;
text-decoration:none;background:#1769e0;color:#fff}
button.plain{background:#8884;color:inherit}
input:focus-visible+label,button:focus-visible,.back:focus-visible{outline:3px solid #f90;
outline-offset:2px}
progress{width:100%;height:1rem;margin-top:1rem}
[hidden]{display:none!important}
"""
_SCRIPT = """
const say=JSON.parse(document.getElementById("words").textContent);
const at=id=>document.getElementById(id),show=(id,on)=>{at(id).hidden=!on};
const megabytes=n=>(n/1e6).toFixed(n<1e7?1:0);
const fill=(text,values)=>text.replace(/{(\\w+)}/g,(_,name)=>values[name]);
let request=null,file=null;
function tell(text){at("state").textContent=text}
function rest(text,again){request=null;show("bar",false);show("cancel",false);
show("pick",true);show("again",Boolean(again&&file));tell(text)}
function done(text){request=null;
for(const id of["bar","cancel","pick","again","about"])show(id,false);
show("back",Boolean(at("back").getAttribute("href")));tell(text)}
function answered(status,body){
if(status===200)return done(say.done);
if(status===409)return done(say.sent);
if(status===404)return rest(say.gone,false);
if(status===413)return rest(fill(say.large,{size:megabytes(file.size),limit:say.limit}),false);
if(status===422)return rest(fill(say.rejected,{reason:body.text||""}),false);
if(status===503)return rest(say.busy,true);
rest(say.broken,true)}
function send(){
if(file.size>say.maxBytes)return answered(413,{});
request=new XMLHttpRequest();request.open("PUT",location.pathname);request.responseType="json";
request.upload.onprogress=event=>{at("bar").max=event.total;at("bar").value=event.loaded;
tell(fill(say.sending,{sent:megabytes(event.loaded),size:megabytes(event.total)}))};
request.upload.onload=()=>tell(say.checking);
request.onload=()=>answered(request.status,request.response||{});
request.onerror=()=>rest(say.broken,true);
request.onabort=()=>rest(say.cancelled,true);
show("pick",false);show("again",false);show("bar",true);show("cancel",true);
at("bar").value=0;tell("");request.send(file)}
at("file").onchange=event=>{file=event.target.files[0];if(file)send();event.target.value=""};
at("cancel").onclick=()=>request&&request.abort();
at("again").onclick=()=>file&&send();
window.onbeforeunload=event=>{if(request)event.preventDefault()};
"""


def language_of(tag: str) -> str:
    """Return the language of the page for a BCP 47 tag."""
    primary = tag.lower().partition("-")[0]
    return primary if primary in WORDS else "en"


def page(link: UploadLink) -> Response:
    """Return the page of a link."""
    language, nonce = language_of(link.language_code), secrets.token_urlsafe(16)
    words = WORDS[language]
    limit = f"{link.max_bytes / 1e6:.0f}"
    told = {**words, "limit": limit, "maxBytes": link.max_bytes}
    is_sent = link.HasField("upload")
    about = "" if is_sent else _about(link, words, limit=limit)
    # In a script nothing but `<` could end it, and JSON may have that written otherwise.
    data = json.dumps(told, ensure_ascii=False).replace("<", "\\u003c")
    text = _whole(
        language,
        words,
        nonce=nonce,
        body=f"""{about}
<p id="state" role="status" aria-live="polite">{escape(words["sent"]) if is_sent else ""}</p>
<progress id="bar" hidden></progress>
{_controls(link, words, is_sent=is_sent)}
<noscript><p>{escape(words["script"])}</p></noscript>
<script type="application/json" id="words" nonce="{nonce}">{data}</script>
<script nonce="{nonce}">{_SCRIPT}</script>""",
    )
    return HTMLResponse(text, headers=_headers(nonce))


def short_page(tag: str, *, words: str, status: int) -> Response:
    """Return a page that says one thing: `gone` or `busy`."""
    language, nonce = language_of(tag), secrets.token_urlsafe(16)
    told = WORDS[language]
    text = _whole(language, told, nonce=nonce, body=f"<p>{escape(told[words])}</p>")
    return HTMLResponse(text, status_code=status, headers=_headers(nonce))


def _about(link: UploadLink, words: Mapping[str, str], *, limit: str) -> str:
    kinds = [words[_KINDS[kind]] for kind in link.kinds if kind in _KINDS]
    choice = f" {words['or']} ".join(kinds)
    time = link.expire_time.ToDatetime().strftime("%H:%M")
    lines = (
        ("", words["what"].format(kinds=choice, limit=limit)),
        ("quiet", words["private"]),
        ("quiet", words["once"].format(time=time)),
    )
    shown = "".join(f'<p class="{name}">{escape(line)}</p>' for name, line in lines)
    return f'<div id="about">{shown}</div>'


def _controls(link: UploadLink, words: Mapping[str, str], *, is_sent: bool) -> str:
    hidden = "hidden" if is_sent else ""
    href = f'href="{escape(link.return_uri)}"' if link.return_uri else ""
    is_back_shown = is_sent and link.return_uri
    return f"""<div id="pick" {hidden}>
<input type="file" id="file" accept="{_accepted(link.kinds)}">
<label for="file">{escape(words["choose"])}</label></div>
<button id="again" hidden>{escape(words["again"])}</button>
<button id="cancel" class="plain" hidden>{escape(words["cancel"])}</button>
<a id="back" class="back" {href} {"" if is_back_shown else "hidden"}>{escape(words["back"])}</a>"""


def _accepted(kinds: Iterable[int]) -> str:
    named = [_KINDS[kind] for kind in kinds if kind in _KINDS]
    return ",".join(f"{name}/*" for name in named)


def _whole(language: str, words: Mapping[str, str], *, nonce: str, body: str) -> str:
    title = escape(words["title"])
    return f"""<!doctype html>
<html lang="{language}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex"><title>{title}</title>
<style nonce="{nonce}">{_STYLE}</style></head>
<body><h1>{title}</h1>
{body}
</body></html>
"""


def _headers(nonce: str) -> dict[str, str]:
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}';"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "cache-control": "no-store",
        "content-security-policy": policy,
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
