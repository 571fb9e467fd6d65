"""Sites of Obsidian, minified HTML, and exports of WordPress."""

from __future__ import annotations

from html import escape

from tests.sites.authors import BLOCK_JSON, HTML, HTML_IN_JSON, JSON_IN_HTML, PHP_JSON, PLAIN, Author

_POSTS_IN_FILE = 100  # of an export


def obsidian(author: Author, pages: int) -> None:
    """Write notes with sizes, embeds, callouts and properties."""
    parts = (
        author.markdown_decoy,
        author.markdown_decoy,
        "![[Pasted image 20260102.png|300]] ![[note#Heading]] [[笔记|别名]] ![[diagram.excalidraw]]",
        lambda: f"![{author.title()}|300]({author.image()}) ![|100x145]({author.image(relative=True)})",
        lambda: f'![](<{author.image(blanks=True)}>)\n![]({author.image()} "标题")',
        lambda: f"![[{author.image()}|300]]\n![[{author.image()}]]",
        lambda: f"> [!info] {author.title()}\n> ![x]({author.image()})\n> {author.markdown_decoy()}",
        lambda: f"| 图 | 说明 |\n|---|---|\n| ![x\\|100]({author.image()}) | {author.title()} |",
        lambda: f'%%\n![]({author.image()})\n%%\n\n- [ ] <img src="{author.image(HTML)}" width="200">',
        lambda: (
            f"cover:: {author.image()}\n(poster:: {author.image()})\n脚注[^1]\n\n[^1]: ![]({author.image()})"
        ),
        lambda: (
            f'```dataview\nTABLE "![|60](" + cover + ")" FROM #book\n```\n$$x^2$$ ==![m]({author.image()})=='
        ),
        "```query\nhttps://blog.example.com/search?q=png\n```",
    )
    for number in range(pages):
        front = f'---\ntags: [图, note]\naliases: []\nbanner: "{author.image()}"\nsource: https://www.example.com/{number}\n'
        if author.chance(0.5):
            front += f'cover: {author.image()}\nimages:\n  - {author.image()}\n  - "[[local.png]]"\n'
        folder = ("Daily", "读书 笔记", "Projects/2026")[number % 3]
        author.post(f"{folder}/{author.title()} {number}.md", f"{front}---\n{author.some(*parts)}\n")
    author.file("附件/Pasted image 20260102.png")
    author.file(".obsidian/app.json", b'{"banner": "https://img.example.com/banner.png"}')
    author.file("board.canvas", b'{"nodes":[{"type":"link","url":"https://img.example.com/1.png"}]}')


def html(author: Author, pages: int) -> None:
    """Write minified pages, of which some are in GBK, a style sheet, and a sitemap."""
    parts = (
        lambda: _decoys(author),
        lambda: _decoys(author),
        lambda: f"<img src={author.image()} alt=x><img alt=y src={author.image(HTML)}>",
        lambda: (
            f"<img class=lazy src=data:image/gif;base64,R0lGODlhAQABAAAAACw= data-src={author.image(relative=True)}>"
        ),
        lambda: f'<img data-original="{author.image(HTML, relative=True)}" src=/loading.svg>',
        lambda: (
            f'<img srcset="{author.image(HTML)} 1x, {author.image(HTML)} 2x" src="{author.image(HTML, blanks=True)}">'
        ),
        lambda: (
            f"<picture><source srcset='{author.image()} 480w,{author.image()} 800w' type=image/webp></picture>"
        ),
        lambda: f"<div style=\"background-image:url('{author.image(HTML)}')\"></div>",
        lambda: f"<div style=background:url({author.image()})></div>",
        lambda: f'<section style="background:url(&quot;{author.image(HTML)}&quot;) no-repeat"></section>',
        lambda: f'<a href="{author.image(HTML)}" data-fancybox>大图</a>',
        lambda: f"<video poster={author.image()} src=https://cdn.example.org/v.mp4></video>",
        lambda: (
            f'<div data-props="{{&quot;image&quot;:&quot;{author.image(JSON_IN_HTML)}&quot;,&quot;n&quot;:1}}"></div>'
        ),
        lambda: f'<noscript><img src="{author.image(HTML)}"></noscript><!--<img src={author.image()}>-->',
        lambda: (
            f'<script>var cover="{author.image(PHP_JSON)}";load("https:\\/\\/api.example.com\\/v1\\/images")</script>'
        ),
        lambda: _state(author),
        lambda: (
            f'<script type=application/ld+json>{{"logo":{{"@type":"ImageObject","url":"{author.image()}"}},'
            '"embedUrl":"https://player.example.com/1","sameAs":["https://github.com/example"]}</script>'
        ),
        lambda: (
            f"<svg><image xlink:href={author.image()} /></svg><input type=image src='{author.image(HTML)}'>"
        ),
    )
    for number in range(pages):
        is_gbk = author.chance(0.1)
        head = (
            f"<!doctype html><html lang=zh><head><meta charset={'gb2312' if is_gbk else 'utf-8'}>"
            f"<title>{author.title()}</title><meta property=og:image content={author.image()}>"
            f'<meta name="twitter:image" content="{author.image(HTML)}"><meta name=og:url content=https://x.example.com/>'
            f"<link rel=icon href={author.image()}><link rel=stylesheet href=https://cdn.example.org/app.css>"
            f"<link rel=canonical href=https://www.example.com/{number}/>"
            f"<style>@import url(https://fonts.example.com/css?family=A);.hero{{background:url({author.image()})}}</style>"
            f'<script type=application/ld+json>{{"@context":"https:\\/\\/schema.org","@type":"Article","image":'
            f'["{author.image(PHP_JSON)}","{author.image(PHP_JSON)}"],"url":"https:\\/\\/www.example.com\\/{number}"}}'
            "</script><script src=https://cdn.example.org/app.js></script></head><body>"
        )
        body = author.some(*parts).replace("\n\n", "<p>")
        author.page(
            f"{number % 20:02}/{number}.html",
            head + body + "</body></html>",
            "gb18030" if is_gbk else "utf-8",
        )
    author.page(
        "assets/site.min.css",
        f'.a{{background:url({author.image()})}}.b{{background-image:url("{author.image()}"),url(../x.png)}}'
        f".c{{cursor:url('{author.image(relative=True)}'),auto}}"
        "@import 'https://cdn.example.org/font.css';@font-face{font-family:A;src:url(https://cdn.example.org/a.woff2)"
        " format('woff2'),url(https://cdn.example.org/a.ttf?v=1)}",
    )
    locations = "".join(
        f"<url><loc>https://www.example.com/{number}/</loc><image:image><image:loc>{author.image(HTML)}</image:loc>"
        "</image:image></url>"
        for number in range(20)
    )
    author.page("sitemap.xml", f'<?xml version="1.0" encoding="UTF-8"?><urlset>{locations}</urlset>')
    author.file("assets/app.js", b'var logo="https://img.example.com/logo.png"')


def _decoys(author: Author) -> str:
    number = author.random.randrange(10_000)
    return author.random.choice(
        (
            f"<a href=https://www.example.com/{number}.html>{author.title()}</a>",
            f"<a href=https://img.example.com/albums/{number}/>相册</a><img src=/img/{number}.png>",
            f"<iframe src=https://player.example.com/{number}></iframe><audio src=https://cdn.example.org/a.mp3></audio>",
            f"<img src={author.own_image()}><img src='{author.excluded_image()}'>",
            '<img src="data:image/svg+xml,%3Csvg xmlns=%27http://www.w3.org/2000/svg%27/%3E">',
            f'<form action="https://www.example.com/upload?image={number}"></form><img src=../{number}.webp>',
        )
    )


def _state(author: Author) -> str:
    """Return the state of a page that a server has rendered: HTML in JSON in a script."""
    content = f'\\u003cimg src=\\"{author.image(HTML_IN_JSON)}\\"\\u003e\\u003ca href=\\"https://x.example.com\\"\\u003e'
    return f'<script id=__NEXT_DATA__ type=application/json>{{"html":"{content}","thumb":"{author.image()}"}}</script>'


def wordpress(author: Author, pages: int) -> None:
    """Write an export in several files, with blocks, attachments and serialized values."""
    parts = (
        lambda: f"<p>{_wordpress_decoys(author)}</p>",
        lambda: f"<p>{_wordpress_decoys(author)}</p>",
        lambda: (
            '<!-- wp:image {"id":12,"sizeSlug":"large"} -->\n<figure class="wp-block-image size-large">'
            f'<img src="{author.image(HTML)}" alt="" class="wp-image-12"/></figure>\n<!-- /wp:image -->'
        ),
        lambda: (
            f'<!-- wp:cover {{"url":"{author.image(BLOCK_JSON)}","id":5,"dimRatio":50}} -->\n'
            f'<div class="wp-block-cover"><img src="{author.image(HTML)}" srcset="{author.image(HTML)} 300w, '
            f'{author.image(HTML)} 1024w" sizes="100vw"/></div>\n<!-- /wp:cover -->'
        ),
        lambda: (
            f'<!-- wp:media-text {{"mediaLink":"https://www.example.com/a/","mediaUrl":"{author.image(BLOCK_JSON)}"}}'
            f' --><div style="background-image:url({author.image(HTML)})"></div><!-- /wp:media-text -->'
        ),
        lambda: (
            f'[caption id="a" width="300"]<a href="{author.image(HTML)}"><img src="{author.image(HTML)}" /></a> x'
            "[/caption]"
        ),
        lambda: f'[vc_single_image source="external_link" custom_src="{author.image()}"] [gallery ids="1,2"]',
        lambda: (
            f'<!-- wp:gallery {{"images":[{{"fullUrl":"{author.image(BLOCK_JSON)}","link":"https://www.example.com/b/"}}]}}'
            f' -->\n<ul><li><img src="{author.image(HTML)}" data-full-url="{author.image(HTML)}" '
            'data-link="https://www.example.com/b/"/></li></ul>\n<!-- /wp:gallery -->'
        ),
        lambda: f'<p><img data-lazy-src="{author.image(HTML, relative=True)}" src="/wp-content/x.png"></p>',
    )
    for first in range(0, pages, _POSTS_IN_FILE):
        posts = (
            _wordpress_post(author, number, author.some(*parts))
            for number in range(first, min(pages, first + _POSTS_IN_FILE))
        )
        author.page(
            f"site.wordpress.2026-01-02.{first // _POSTS_IN_FILE:03}.xml",
            '<?xml version="1.0" encoding="UTF-8" ?>\n<!-- generator="WordPress/6.9" -->\n<rss version="2.0"\n'
            '\txmlns:content="http://purl.org/rss/1.0/modules/content/"\n\txmlns:wp="http://wordpress.org/export/1.2/"\n>\n'
            f"<channel>\n\t<title>{author.title()}</title>\n\t<link>https://www.example.com</link>\n"
            f"\t<image>\n\t\t<url>{author.image(HTML)}</url>\n\t\t<link>https://www.example.com</link>\n\t</image>\n"
            f"{''.join(posts)}</channel>\n</rss>\n",
        )


def _wordpress_post(author: Author, number: int, content: str) -> str:
    metas = {
        "_wp_attached_file": f"2026/01/local-{number}.png",
        "_thumbnail_ext_url": author.image(),
        "_elementor_data": (
            f'[{{"settings":{{"image":{{"url":"{author.image(PHP_JSON)}","id":7}},"link":"https:\\/\\/x.example.com\\/"}}}}]'
        ),
        "slider": _serialized(author),
    }
    meta = "".join(
        f"\t\t<wp:postmeta>\n\t\t<wp:meta_key><![CDATA[{key}]]></wp:meta_key>\n"
        f"\t\t<wp:meta_value><![CDATA[{value}]]></wp:meta_value>\n\t\t</wp:postmeta>\n"
        for key, value in metas.items()
        if author.chance(0.7) or key == "slider"
    )
    return (
        f"\t<item>\n\t\t<title><![CDATA[{author.title()}]]></title>\n\t\t<link>https://www.example.com/?p={number}</link>\n"
        f'\t\t<guid isPermaLink="false">https://www.example.com/?p={number}</guid>\n'
        f"\t\t<content:encoded><![CDATA[{content}]]></content:encoded>\n"
        f"\t\t<excerpt:encoded><![CDATA[{author.paragraph()}]]></excerpt:encoded>\n"
        f"\t\t<wp:attachment_url>{author.image(HTML)}</wp:attachment_url>\n"
        f"\t\t<description>{escape('<img src=')}&quot;{author.image(HTML)}&quot;{escape('>')}</description>\n"
        f"{meta}\t</item>\n"
    )


def _serialized(author: Author) -> str:
    """Return a value of PHP: an array with an image, a caption beyond ASCII, and HTML in a string in a string."""
    string = author.php_string
    inner = f"a:1:{{i:0;{string('<img src=' + chr(39) + author.image(PLAIN) + chr(39) + '>图')}}}"
    return (
        f"a:4:{{{string('image')};{string(author.image())};{string('caption')};{string(author.title())};"
        f"{string('link')};{string('https://www.example.com/')};{string('raw')};{string(inner)};}}"
    )


def _wordpress_decoys(author: Author) -> str:
    number = author.random.randrange(10_000)
    return author.random.choice(
        (
            f'<a href="https://www.example.com/?attachment_id={number}">{author.title()}</a>',
            f'<img src="{author.own_image()}"/><img src="{author.excluded_image()}"/>',
            f'<!-- wp:embed {{"url":"https://video.example.com/{number}","type":"video"}} /-->',
            f'<img src="/wp-content/uploads/2026/01/{number}.png"/> a&amp;b &hellip;',
            # A length that is wrong already, and longer than the file: PHP cannot read the value with any URL.
            f's:{number + 10**8}:"https://img.example.com/{number}.png";',
        )
    )
