"""Traditional Chinese characters written as simplified ones, so that a rule needs one form of each word.

Not here: which language a text is in (`languages`).
"""

from __future__ import annotations

_PAIRS = (
    "無无 會会 沒没 辦办 願愿 絕绝 為为 們们 說说 這这 個个 種种 樣样 幫帮 協协 撐撑 參参 與与 寫写 編编 "
    "訴诉 給给 勵励 討讨 論论 滿满 執执 導导 處处 縱纵 認认 應应 當当 對对 內内 話话 題题 識识 違违 準准 "
    "則则 規规 範范 條条 標标 製制 請请 遲迟 繫系 尋寻 線线 責责 誤误 錯错 輕轻 撥拨 權权 並并 還还 將将 "
    "適适 讓让 談谈 點点 幹干 資资 訊讯 從从 難难 聽听 問问 覺觉 設设 於于 過过 後后 開开 產产 實实 現现 "
    "視视 屬属 動动 況况 惡恶 傷伤 險险 隱隐 貝贝 愛爱 獲获 續续 護护 業业 專专 電电 員员 僅仅 來来 進进 "
    "總总 較较 機机 樂乐 務务 須须 預预 證证 據据 確确 術术 傳传 單单 評评 價价 換换 構构 稱称 終终 結结 "
    "簡简 組组 織织 體体 發发 質质 計计 劃划 圍围 聯联 絡络 統统 網网 師师 關关 閉闭 馬马 驚惊 慮虑 觸触 "
    "斷断 數数 雖虽 隨随 離离 學学 義义 賴赖 類类 興兴 億亿 歡欢 別别 醫医 療疗 財财 嗎吗 麼么 幾几 擇择 "
    "裡里 擬拟 啟启 陸陆 該该 藥药 飯饭 號号 時时 間间 樓楼 誰谁 詢询 嘗尝 試试 邊边 報报 詳详 細细 節节 "
    "繼继 補补 釋释 讀读 詞词 語语 車车 門门 長长 東东 見见 親亲 聲声 區区 "
)
_TO_SIMPLIFIED = str.maketrans({pair[0]: pair[1] for pair in _PAIRS.split()})


def simplified(text: str) -> str:
    """The text with simplified characters in place of the traditional ones that refusals and questions use."""
    return text.translate(_TO_SIMPLIFIED)
