"""Brand, model and category names."""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hptune.sample._draws import Array, Rng

__all__ = ["HEAD_BRANDS", "brand_names", "category_texts", "model_names"]


class HeadBrand(NamedTuple):
    """A well-known brand: percent of devices, models, male share where known, names of its series."""

    percent: float
    models: int
    male: float | None
    series: tuple[str, ...]


HEAD_BRANDS = {
    "小米": HeadBrand(23.2, 93, 0.658, ("MI ", "红米", "红米Note")),
    "三星": HeadBrand(18.3, 332, 0.603, ("Galaxy S", "Galaxy Note ", "Galaxy A", "Galaxy Grand ")),
    "华为": HeadBrand(17.4, 136, 0.673, ("荣耀", "Mate ", "Ascend P", "荣耀畅玩")),
    "OPPO": HeadBrand(7.8, 65, 0.555, ("R", "Find ", "N")),
    "vivo": HeadBrand(7.6, 110, 0.530, ("X", "Y", "Xplay")),
    "魅族": HeadBrand(6.3, 16, 0.723, ("MX", "魅蓝", "PRO")),
    "酷派": HeadBrand(4.5, 130, None, ("大神F", "锋尚", "大神Note")),
    "联想": HeadBrand(3.6, 140, None, ("乐檬K", "VIBE X", "S")),
    "金立": HeadBrand(1.5, 70, None, ("ELIFE E", "GN")),
    "HTC": HeadBrand(1.4, 62, None, ("Desire ", "One M", "Butterfly ")),
    "中兴": HeadBrand(1.2, 120, None, ("天机", "Blade ", "V")),
    "乐视": HeadBrand(1.0, 4, None, ("超级手机",)),
}
_SMALLER_BRANDS = """
努比亚 LG 中国移动 TCL 锤子 朵唯 优米 海信 一加 奇酷 语信 天语 摩托罗拉 索尼 酷比魔方
酷比 ZUK 美图 华硕 梦米 富可视 艾优尼 黑米 波导 纽曼 诺基亚 米歌 欧博信 贝尔丰 LOGO
亿通 康佳 百立丰 尼比鲁 优购 邦华 海尔 酷珀 维图 夏新 青橙 小杨树 聆韵 唯米 糯米
神舟 E派 易派 飞利浦 金星
"""
_SYLLABLES = "天海云星龙金华东新亿普德欧诺信达宏佳"

# The texts carry what makes real ones awkward: capitals, prefixes, brackets, slashes, underscores, repeats.
_FORMS = ("{0} {1}", "game-{0} {1}", "{1} ({0})", "{0}/{1}", "{1}_{0}", "{0} {1} 1", "The {0} of {1}")
_KINDS = """
Free Paid Online Offline Mobile Social Personal Family Public Local Daily Weekly Classic Modern
Chinese Japanese Korean Western European American Young Senior Student Office Business Internet
Digital Smart Quick Cheap Luxury Popular Creative Casual Serious Funny Romantic Historical
Scientific Natural Urban Rural Outdoor Indoor Professional Amateur Independent National Global
Special
"""
_TOPICS = """
Banking Insurance Shopping Travel Music Video Photography Reading News Weather Maps Sports Football
Basketball Chess Cards Puzzle Racing Strategy Shooting Adventure Simulation Fantasy Medicine Health
Fitness Cooking Restaurants Coffee Fashion Beauty Makeup Wedding Dating Parenting Babies Education
Languages Science Mathematics History Astrology Poetry Novels Comics Cartoons Films Television Radio
Karaoke Concerts Museums Cars Motorbikes Trains Flights Hotels Taxis Parking Property Rent Furniture
Gardening Pets Fishing Stocks Funds Loans Payment Lottery Taxes Jobs Recruitment Email Messages
Calls Contacts Calendars Notes Alarms Security Antivirus Backup Storage Browsers Keyboards
Wallpapers Ringtones Themes Launchers Translation Groceries Coupons Auctions Logistics Manufacturing
Agriculture Charity Religion Politics Law
"""


def brand_names(n: int) -> list[str]:
    """`n` brand names, the most frequent first."""
    made_up = ("".join(pair) for pair in itertools.permutations(_SYLLABLES, 2))
    known = dict.fromkeys(itertools.chain(HEAD_BRANDS, _SMALLER_BRANDS.split(), made_up))
    return list(itertools.islice(known, n))


def model_names(rng: Rng, brands: list[str], counts: Array) -> list[list[str]]:
    """For each brand its different model names, none of which another brand has."""
    codes = [f"{letter}{number}" for letter in string.ascii_uppercase for number in range(100, 1000)]
    pool = iter(rng.permutation(codes).tolist())
    return [_models_of(brand, int(count), pool) for brand, count in zip(brands, counts, strict=True)]


def _models_of(brand: str, count: int, pool: Iterator[str]) -> list[str]:
    """Numbered names of the brand's series for the popular models, plain codes from `pool` for the others."""
    series = HEAD_BRANDS[brand].series if brand in HEAD_BRANDS else ()
    in_series = min(count, 8 * len(series))
    named = [f"{series[i % len(series)]}{i // len(series) + 1}" for i in range(in_series)]
    return named + list(itertools.islice(pool, count - in_series))


def category_texts(rng: Rng, n: int, distinct: int) -> Array:
    """`n` category texts of which `distinct` differ, in random order."""
    topics = _TOPICS.split()
    pairs = rng.permutation(list(itertools.product(_KINDS.split(), topics)))
    forms = itertools.cycle(_FORMS)
    made = dict.fromkeys(form.format(kind, topic) for form, (kind, topic) in zip(forms, pairs, strict=False))
    texts = np.array(list(itertools.islice(itertools.chain(topics, made), distinct)), dtype=object)
    return rng.permutation(np.concatenate([texts, rng.choice(texts, n - distinct)]))
