"""Sites of Hexo, Hugo, VuePress and Jekyll."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

from tests.sites.authors import ESCAPED, HTML, Author


def _date(number: int) -> str:
    return f"2026-{number % 12 + 1:02}-{number % 28 + 1:02}"


def _code(author: Author) -> str:
    return f'```html\n<img src="{author.image()}" alt="example">\n```'


def _reference(author: Author) -> str:
    return f'![{author.title()}][shot] and ![Logo]\n\n[shot]: {author.image()} "title"\n[logo]: <{author.image()}>'


def _nested(author: Author) -> str:
    return f'[![{author.title()}]({author.image()} "t")](https://blog.example.com/album/)'


def _html_image(author: Author) -> str:
    quote = author.random.choice("\"'")
    image = author.image(HTML, relative=True, blanks=True)
    return f'<p align=center><img src={quote}{image}{quote} width="50%" alt="{author.title()}" /></p>'


def _markdown(author: Author) -> str:
    return (
        f"![{author.title()}]({author.image(relative=True)}) text\n![](<{author.image(blanks=True)}> '标题')"
    )


def _escaped(author: Author) -> str:
    return f"- ![a\\_b]({author.image(ESCAPED)})\n- {author.image()} 就是这张图。"


def _sized(author: Author) -> str:
    return (
        f"![]({author.image()} =300x200)![]({author.image()}){{width=50%}}\n"
        f"1. ![x]({author.image()})![y]({author.image()})，见上图。"
    )


def _markdown_parts(author: Author) -> tuple[Callable[[], str], ...]:
    """Return what writes the parts of a page that every tool reads as Markdown."""
    with_images = (_code, _reference, _nested, _html_image, _markdown, _escaped, _sized)
    return (author.markdown_decoy, author.markdown_decoy, *(partial(write, author) for write in with_images))


def hexo(author: Author, pages: int) -> None:
    """Write posts with front matter of several themes, and tags with URLs."""
    parts = (
        *_markdown_parts(author),
        "{% asset_img local.png 本地图片 %}\n{% img left /images/local.png 200 400 %}",
        lambda: f'{{% asset_img {author.image()} 远程 %}}\n{{% img {author.image()} 200 400 \'"t" "a"\' %}}',
        lambda: f"{{% img nofancy {author.image()} %}}\n{{% fancybox {author.image()} %}}",
        lambda: f"{{% image {author.image()}, alt=截图 %}}\n{{% gallery image={author.image()} %}}",
        lambda: f"{{% gallery %}}\n![]({author.image()})\n![]({author.image()} '二')\n{{% endgallery %}}",
        lambda: f"{{% note info %}}\n{author.markdown_decoy()}\n![x]({author.image()})\n{{% endnote %}}",
        lambda: f"{{% link 示例, https://blog.example.com/page, {author.image()} %}}",
        lambda: (
            f"{{% flink %}}\n- class_name: 友链\n  link_list:\n    - name: A\n      link: https://a.example.com/\n"
            f"      avatar: {author.image()}\n{{% endflink %}}"
        ),
    )
    for number in range(pages):
        front = [
            f"title: {author.title()}",
            f"date: {_date(number)} 03:04:05",
            "tags: [博客, images]",
            f"cover: {author.image()}",
        ]
        if author.chance(0.5):
            front += [f'thumbnail: "{author.image()}"', f"top_img: '{author.image(relative=True)}'"]
        if author.chance(0.3):
            front += ["photos:", f"  - {author.image()}", f"  - {author.image()}", "  - /images/local.png"]
        if author.chance(0.2):
            front += ["link: https://www.example.com/", f"banner_img: {author.excluded_image()}"]
        text = "\n".join(("---", *front, "---", author.paragraph(), "<!-- more -->", author.some(*parts), ""))
        author.post(f"source/_posts/{_date(number)}-{number}.md", text, chinese="gb18030")
    author.page(
        "_config.butterfly.yml",
        f"avatar:\n  img: {author.image()}\n  effect: true\nfavicon: /img/favicon.png\n"
        f"index_img: url({author.image()})\nreward:\n  QR_code:\n    - img: {author.image()}\n"
        "      link: https://pay.example.com/1\n",
    )
    # Hexo's database: the texts above, and what they are rendered to.
    posts = [{"_content": f"{_markdown(author)}\n", "content": f"{_html_image(author)}\n"} for _ in range(20)]
    author.page("db.json", json.dumps({"models": {"Post": posts}}, ensure_ascii=False))
    author.file("source/images/local.png")
    author.file(".git/config", b"[remote]\n\turl = https://img.example.com/blog.png\n")


def hugo(author: Author, pages: int) -> None:
    """Write bundles and single pages with front matter in TOML, YAML and JSON, and shortcodes."""
    parts = (
        *_markdown_parts(author),
        lambda: f'{{{{< figure src="{author.image()}" title="A (b)" link="https://blog.example.com/x" >}}}}',
        lambda: f'{{{{< figure\n  src="{author.image()}"\n  alt="多行"\n>}}}}',
        lambda: f"{{{{% figure src='{author.image()}' class=\"w\" %}}}}\n{{{{< img {author.image()} >}}}}",
        lambda: (
            f"{{{{< image src=`{author.image()}` linked=false >}}}}\n{{{{< figure src={author.image()} >}}}}"
        ),
        lambda: f'{{{{< gallery images="{author.image()},{author.image()}" >}}}}',
        lambda: f'{{{{< lightgallery src="local.jpg" thumb="{author.image(relative=True)}" >}}}}',
        '{{< figure src="local.jpg" >}}\n{{< youtube dQw4w9WgXcQ >}}\n{{< ref "posts/1.md" >}}',
    )
    for number in range(pages):
        title, day = author.title(), _date(number)
        images = [author.image() for _ in range(author.random.randint(1, 3))]
        match author.random.randrange(3):
            case 0:
                front = (
                    f'+++\ntitle = "{title}"\ndate = {day}\nimages = [{", ".join(map(json.dumps, images))}]\n'
                    f'[cover]\nimage = \'{author.image()}\'\nalt = "x"\n[[resources]]\nsrc = "local.jpg"\n+++'
                )
            case 1:
                listed = "\n".join(f"  - {image}" for image in images)
                front = (
                    f"---\ntitle: {title}\ndate: {day}\nimages:\n{listed}\nfeaturedImage: {author.image()}\n"
                    f'featuredImagePreview: "{author.image()}"\ncanonical: https://blog.example.com/{number}/\n---'
                )
            case _:
                front = json.dumps(
                    {"title": title, "date": day, "images": images}, ensure_ascii=False, indent=2
                )
        path = f"content/posts/{number}/index.md" if author.chance(0.5) else f"content/posts/{number}.md"
        if path.endswith("index.md"):
            author.file(path.replace("index.md", "local.jpg"))
        author.post(path, f"{front}\n\n{author.some(*parts)}\n")
    author.page(
        "hugo.toml",
        f"baseURL = 'https://blog.example.com/'\n[params]\nimages = [\"{author.image()}\"]\n"
        f'[params.profileMode]\nimageUrl = "{author.image()}"\nlogo = "/logo.svg"\n',
    )
    for number in range(max(1, pages // 20)):
        author.post(
            f"content/docs/{number}.adoc",
            f"= {author.title()}\n:cover: {author.image()}\n\nimage::{author.image()}[截图,300]\n\n"
            f"{author.paragraph()} image:{author.image()}[] link:https://blog.example.com/[blog]\n",
        )
        author.post(
            f"content/docs/{number}.org",
            f"#+TITLE: {author.title()}\n#+IMAGE: {author.image()}\n[[{author.image()}]]\n"
            f"[[https://blog.example.com/][blog]] [[{author.image()}][图]]\n",
        )
    author.page(
        "data/authors.json",
        json.dumps({"zh": {"photo": author.image(), "site": "https://www.example.com/"}}, indent=2),
    )
    author.file(".hugo_build.lock", b"")


def vuepress(author: Author, pages: int) -> None:
    """Write pages with components, containers and heads."""
    parts = (
        *_markdown_parts(author),
        lambda: f'<img :src="\'{author.image()}\'" alt="x">\n<img :src=\'"{author.image()}"\'>',
        '<img :src="$withBase(\'/logo.png\')"> <Badge text="beta" type="warning"/>',
        lambda: f"::: tip 提示\n{author.markdown_decoy()}\n![x]({author.image()})\n:::",
        lambda: f'::: details\n<Card :image="`{author.image()}`" link="https://blog.example.com/x" />\n:::',
        lambda: f"<Zoom v-bind:src=\"['{author.image()}', '{author.image()}']\"/>",
        lambda: f"| 图 | url |\n|:-:|---|\n| ![a]({author.image()}) | {author.image()} |",
        lambda: f"<script setup>\nconst cover = '{author.image()}'\n</script>",
    )
    for number in range(pages):
        head = (
            f"head:\n  - - meta\n    - property: og:image\n      content: {author.image()}\n"
            "  - - link\n    - rel: canonical\n      href: https://docs.example.com/\n"
        )
        front = f"---\ntitle: {author.title()}\n{head if author.chance(0.5) else ''}cover: {author.image()}\n---\n"
        name = f"docs/{'guide' if number % 2 else '指南'}/{number}.md"
        author.post(name, f"{front}\n# {author.title()}\n\n{author.some(*parts)}\n")
    author.page(
        "docs/README.md",
        f"---\nhome: true\nheroImage: {author.image()}\nbgImage: '{author.image()}'\nfeatures:\n"
        f"  - title: Fast\n    icon: {author.image()}\n    link: https://docs.example.com/guide/\n---\n",
    )
    author.file("docs/.vuepress/config.js", b"module.exports = {logo: 'https://img.example.com/logo.png'}\n")
    author.file("docs/.vuepress/public/logo.png")


def jekyll(author: Author, pages: int) -> None:
    """Write posts with includes, Kramdown's attributes, and data files."""
    parts = (
        *_markdown_parts(author),
        lambda: (
            f'{{% include figure image_path="{author.image()}" alt="a" caption="见 [x](https://x.example.com/)" %}}'
        ),
        lambda: f"{{% include image.html url='{author.image(relative=True)}' description=\"x\" %}}",
        lambda: f'![x]({author.image()}){{: .align-center width="50"}}\n{{: .notice--info}}',
        lambda: f"{{% picture {author.image()} --alt x %}}\n{{% responsive_image path: assets/x.png %}}",
        "![local]({{ site.baseurl }}/assets/x.png) <img src=\"{{ '/assets/x.png' | relative_url }}\">",
        '{% include gallery id="gallery" %}\n{% highlight sh %}\nwget https://dl.example.com/x\n{% endhighlight %}',
    )
    for number in range(pages):
        front = [f'title: "{author.title()}"', "layout: single"]
        if author.chance(0.6):
            front += [
                "header:",
                f"  overlay_image: {author.image()}",
                f"  teaser: '{author.image(relative=True)}'",
            ]
        if author.chance(0.3):
            front += ["gallery:"]
            for _ in range(2):
                front += [f"  - url: {author.image()}", f"    image_path: {author.image()}", '    alt: "x"']
        front += [f'image: {{path: "{author.image()}", width: 1200}}']
        text = "\n".join(("---", *front, "---", author.some(*parts), ""))
        author.post(f"_posts/{_date(number)}-post-{number}.markdown", text, chinese="gb18030")
    members = "".join(
        f"- name: {author.title()}\n  photo: {author.image()}\n  site: https://people.example.com/{number}\n"
        for number in range(20)
    )
    author.page("_data/team.yml", members)
    author.page(
        "_config.yml", f"logo: {author.image()}\nurl: https://blog.example.com\nog_image: {author.image()}\n"
    )
    author.file("assets/x.png")
    author.file("Gemfile", b"source 'https://rubygems.org'\n")
