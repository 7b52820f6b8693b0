"""Plausible names: roads after places of the country as the city has it, parks, companies, people."""

from __future__ import annotations

import numpy as np

_PLACES = (
    "北京 天津 山东 河南 河北 江西 福建 浙江 四川 云南 贵州 广东 广西 湖北 湖南 安徽 陕西 山西 甘肃 青海 新疆 西藏 吉林 辽宁 "
    "九江 汉口 福州 广东 宁波 金陵 厦门 温州 台州 绍兴 嘉兴 湖州 徐州 扬州 镇江 无锡 常州 常熟 昆山 太仓 昆明 大理 桂林 柳州 "
    "武定 康定 昌平 长乐 长宁 延安 延平 威海 石门 新闸 成都 重庆 巨鹿 长江 茂名 富民 襄阳 乌鲁木齐 永嘉 永福 建国 太原 复兴 "
    "瑞金 思南 香山 皋兰 雁荡 龙门 马当 丽园 斜土 大木桥 小木桥 枫林 天钥桥 漕溪 蒲汇塘 宜山 凯旋 番禺 法华镇 虹桥 古北 "
    "仙霞 茅台 天山 遵义 娄山关 玉屏 芙蓉江 威宁 哈密 金沙江 大渡河 曹杨 兰溪 梅川 武宁 普雄 枣阳 岚皋 志丹 新村 甘泉 "
    "交通 共和 芷江 平型关 洛川 彭浦 临汾 闻喜 曲沃 宜川 广中 水电 东体育会 四平 大连 海伦 溧阳 天水 唐山 东长治 公平 "
    "周家嘴 控江 鞍山 打虎山 本溪 抚顺 铁岭 锦西 阜新 同济 国权 邯郸 政立 殷行 包头 嫩江 民星 佳木斯 军工 长海 "
    "浦城 崂山 福山 源深 民生 罗山 博山 东陆 金桥 巨峰 五莲 利津 德平 锦绣 芳甸 花木 梅花 玉兰 丁香 白杨 樱花 海桐 "
    "浦建 浦三 上南 成山 昌里 历城 德州 齐河 洪山 耀华 云台 西营 长清 邹平 高青 凌兆 三林 杨思 御桥 康桥 秀沿 "
    "田林 钦州 柳州 桂平 虹梅 虹漕 龙漕 百色 罗城 老沪闵 梅陇 朱梅 莘朱 七莘 疏影 都市 顾戴 漕宝 宜山 吴中 合川"
).split()
_LETTERS_A = (
    "春申华锦秀明宏嘉安永和泰文景瑞金银康宁盛丰江海长新东南西北平福兴祥云月星晨翠碧青松竹梅桂兰荷柳"
)
_LETTERS_B = (
    "申浦江海泰安宁平川溪泉塘浜泾港桥岛湾岭山阳明辉耀达通顺利祥和乐康健秀丽荣昌盛茂林园田野泽润"
)
_COMPASS = {0: ("东", "中", "西"), 1: ("北", "中", "南")}
AMENITIES = [
    "健身步道",
    "儿童乐园",
    "自动体外除颤器",
    "无障碍通道",
    "直饮水",
    "母婴室",
    "篮球场",
    "花境",
    "休憩廊架",
    "公共厕所",
    "驿站",
]
_PARK_A = "锦绣 樱花 梅馨 翠湖 望江 春晖 秋韵 晨曦 清溪 听涛 闻莺 金秋 玉兰 紫薇 银杏 香樟 桂香 荷塘 竹韵 松涛 芳草 绿缘 和谐 文化 星光 彩虹 阳光 同心 安亭 云锦 丹桂 海棠 月季 水杉 蔷薇 雪松 凌霄 木槿 鸢尾 芦荻 栀子 朝晖 流芳 映山".split()
_PARK_B = "里 苑 湾 桥 泾 浜 河 岛 园 谷 洲 溪 塘 湖 堤 坊 径 林".split()
CONTRACTORS = [
    "城容环境",
    "浦江绿化",
    "申绿园艺",
    "东浦环卫",
    "沪西市政养护",
    "海湾林业",
    "长风环境服务",
    "嘉禾园林",
    "虹梅环卫",
    "静美城市服务",
    "青谷生态",
    "崇绿林业",
]
SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗"
GIVEN = "伟 强 磊 军 洋 勇 杰 涛 明 超 敏 静 丽 芳 娟 霞 建国 志强 海燕 晓东 文斌 秀英 国华 卫东 佳 倩 鹏 斌".split()
SPECIES = (
    ("悬铃木", "Platanus × acerifolia", 0.34), ("香樟", "Cinnamomum camphora", 0.28), ("银杏", "Ginkgo biloba", 0.09),
    ("榉树", "Zelkova schneideriana", 0.08), ("栾树", "Koelreuteria bipinnata", 0.08), ("女贞", "Ligustrum lucidum", 0.06),
    ("广玉兰", "Magnolia grandiflora", 0.04), ("无患子", "Sapindus saponaria", 0.03),
)  # fmt: skip
FOREST_SPECIES = [
    "水杉",
    "香樟",
    "池杉",
    "杨树",
    "女贞",
    "落羽杉",
    "柳杉",
    "栾树",
    "银杏",
    "柑橘",
    "桃",
    "毛竹",
]


def roads(gen: np.random.Generator, eastward: np.ndarray, long: np.ndarray) -> list[str]:
    """Return a name for each road; long ones after places, short ones of two letters."""
    taken: set[str] = set()
    out = []
    order = gen.permutation(len(_PLACES))
    used = 0
    for east, is_long in zip(eastward, long, strict=True):
        if is_long and used < 3 * len(_PLACES):
            place, part = (
                _PLACES[order[used % len(_PLACES)]],
                _COMPASS[0 if east else 1][used // len(_PLACES)],
            )
            name = f"{place}{part if used >= len(_PLACES) or is_long else ''}路"
            used += 1
        else:
            name = _two(gen) + ("路" if is_long or gen.random() < 0.8 else "街")
        while name in taken:
            name = _two(gen) + "路"
            if len(taken) > 1_200:
                name = _two(gen)[0] + name
        taken.add(name)
        out.append(name)
    return out


def _two(gen: np.random.Generator) -> str:
    a, b = int(gen.integers(len(_LETTERS_A))), int(gen.integers(len(_LETTERS_B)))
    return _LETTERS_A[a] + _LETTERS_B[b]


def park(gen: np.random.Generator, taken: set[str], area_m2: float) -> str:
    """Return a park's name that is not taken yet."""
    ending = "公园" if area_m2 > 9_000 else "口袋公园" if area_m2 < 5_000 else "绿苑公园"
    while True:
        name = (
            _PARK_A[int(gen.integers(len(_PARK_A)))]
            + _PARK_B[int(gen.integers(len(_PARK_B)))]
            + ending
        )
        if gen.random() < 0.4:
            name = _two(gen) + name[2:]
        if name not in taken:
            taken.add(name)
            return name


def person(gen: np.random.Generator) -> str:
    """Return a plausible personal name."""
    return SURNAMES[int(gen.integers(len(SURNAMES)))] + GIVEN[int(gen.integers(len(GIVEN)))]


def plate(gen: np.random.Generator, taken: set[str], electric: bool) -> str:
    """Return a plate in the form of the city's, not taken yet; new-energy plates have six signs."""
    letters = "ABCDEFGHJKLMN"
    while True:
        area = letters[int(gen.integers(len(letters)))]
        digits = "".join(str(d) for d in gen.integers(0, 10, 5))
        made = f"沪{area}·{'D' + digits if electric else digits}"
        if made not in taken:
            taken.add(made)
            return made
