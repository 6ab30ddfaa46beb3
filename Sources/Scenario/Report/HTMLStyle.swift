extension HTMLReport {
    /// Light and dark by the reader's own settings; no font, image or script from elsewhere.
    static let style = """
        :root{--ground:#f7f7f5;--card:#fff;--text:#1d2125;--dim:#69707a;--line:#e3e4e1;--good:#2e8b57;--bad:#d03c3c;
        --odd:#c98a1b;--off:#a8adb4;--good-soft:#e3f3ea;--bad-soft:#fbe6e4;color-scheme:light dark}
        @media(prefers-color-scheme:dark){:root{--ground:#15181c;--card:#1d2126;--text:#e3e6ea;--dim:#8e97a3;
        --line:#2e343b;--good:#4cb782;--bad:#ef6b62;--odd:#e0a83e;--off:#5b636d;--good-soft:#1c3327;--bad-soft:#3a2122}}
        *{box-sizing:border-box}html{scroll-behavior:smooth}
        body{margin:0;background:var(--ground);color:var(--text);font:15px/1.5 system-ui,sans-serif}
        main{max-width:1120px;margin:0 auto;padding:32px 20px 80px}
        h1{font-size:34px;margin:0;letter-spacing:-.02em}h1.passed{color:var(--good)}h1.failed{color:var(--bad)}
        h2{font-size:19px;margin:36px 0 10px}h3{font-size:13px;margin:18px 0 6px;color:var(--dim);font-weight:600}
        header p,section>p{color:var(--dim);margin:4px 0 14px}summary h2{display:inline-block}
        code,pre,.timeline td{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:12.5px}
        .bar{display:flex;height:10px;border-radius:5px;overflow:hidden;background:var(--line);min-width:80px}
        .bar i{height:100%}i.passed{background:var(--good)}i.failed{background:var(--bad)}
        i.stopped{background:var(--odd)}i.skipped{background:var(--off)}
        .numbers{display:flex;gap:28px;margin-top:12px;flex-wrap:wrap}.number b{font-size:24px;margin-right:4px}
        .number.passed b{color:var(--good)}.number.failed b{color:var(--bad)}.number.none{color:var(--off)}
        .chart{position:relative;background:var(--card);border:1px solid var(--line);border-radius:8px;
        overflow:hidden;box-sizing:content-box;padding:2px 0}
        .chart a{position:absolute;height:20px;margin-top:2px;border-radius:4px;color:#fff;font-size:11px;
        line-height:20px;padding:0 5px;overflow:hidden;white-space:nowrap;text-decoration:none;min-width:3px;
        border-right:1px solid var(--card)}
        .chart a:hover{filter:brightness(1.12)}.chart a.passed{background:var(--good)}
        .chart a.failed{background:var(--bad)}.chart a.stopped{background:var(--odd)}
        .ticks{position:relative;height:20px;color:var(--dim);font-size:12px}
        .ticks span{position:absolute;white-space:nowrap;transform:translateX(-50%)}.ticks span:first-child{transform:none}
        .ticks span:last-child{transform:translateX(-100%)}
        .tools{display:flex;gap:16px;align-items:center;flex-wrap:wrap}
        input[type=search]{flex:1;min-width:220px;padding:8px 12px;border:1px solid var(--line);border-radius:8px;
        background:var(--card);color:var(--text);font:inherit}
        details.scenario,details.area{background:var(--card);border:1px solid var(--line);border-radius:8px;
        margin:6px 0;padding:0 14px}details.scenario.failed{border-left:4px solid var(--bad)}
        details[open]{padding-bottom:14px}summary{cursor:pointer;padding:8px 0;display:flex;gap:10px;
        align-items:center;list-style:none;flex-wrap:wrap}summary::-webkit-details-marker{display:none}
        .mark{width:16px;text-align:center}.passed>summary .mark{color:var(--good)}
        .failed>summary .mark{color:var(--bad)}.stopped>summary .mark{color:var(--odd)}
        .name{flex:1;min-width:200px}em{font-style:normal;font-size:11.5px;color:var(--dim);
        border:1px solid var(--line);border-radius:10px;padding:0 7px;white-space:nowrap}
        em.passed{color:var(--good)}em.failed{color:var(--bad);border-color:var(--bad)}
        .time{color:var(--dim);font-size:12.5px;font-variant-numeric:tabular-nums;white-space:nowrap;
        min-width:58px;text-align:right}
        .past{display:inline-flex;gap:2px}.past i{width:7px;height:14px;border-radius:2px;background:var(--line)}
        .past i.passed{background:var(--good)}.past i.failed{background:var(--bad)}.past i.stopped{background:var(--odd)}
        pre{background:var(--ground);border-radius:6px;padding:10px 12px;overflow:auto;margin:6px 0;
        white-space:pre-wrap;overflow-wrap:anywhere;max-height:480px}
        .problem{border-radius:6px;background:var(--bad-soft);padding:10px 12px}
        .problem pre{background:none;padding:4px 0;margin:0}
        ins{text-decoration:none;background:var(--good-soft);color:var(--good);border-radius:3px}
        del{text-decoration:none;background:var(--bad-soft);color:var(--bad);border-radius:3px}
        .problem del{outline:1px solid var(--bad)}
        .steps>div{display:grid;grid-template-columns:minmax(180px,2fr) 3fr 64px;gap:12px;align-items:center;
        font-size:13px;padding:2px 0}.lane{position:relative;height:8px;background:var(--ground);border-radius:4px}
        .lane i{position:absolute;height:100%;border-radius:4px;min-width:3px}
        table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:4px 10px 4px 0;vertical-align:top;
        border-top:1px solid var(--line);font-size:13px}th{color:var(--dim);font-weight:500;border:0}
        .timeline td:nth-child(-n+3){white-space:nowrap;color:var(--dim)}.timeline td div{overflow-wrap:anywhere}
        .timeline tr:target{background:var(--good-soft)}.timeline tr.event b{font-weight:500;color:var(--odd)}
        a{color:inherit}ul{margin:4px 0;padding-left:20px;font-size:13px}.area .bar{flex:1}.area summary b{width:190px}
        @media(max-width:640px){.steps>div{grid-template-columns:1fr 64px}.lane{display:none}}
        @media print{.tools{display:none}body{background:#fff}}
        """

    /// The page is whole without it: it only finds, and opens what an address points at.
    static let script = """
        (function(){var f=document.getElementById('find'),b=document.getElementById('bad');
        var all=[].slice.call(document.querySelectorAll('details.scenario'));
        function show(){var w=f.value.toLowerCase();all.forEach(function(d){
        var ok=d.dataset.words.indexOf(w)>=0&&!(b.checked&&d.classList.contains('passed'));d.hidden=!ok})}
        function open(){var d=document.getElementById(location.hash.slice(1));if(d&&d.tagName==='DETAILS')d.open=true}
        f.oninput=b.onchange=show;window.onhashchange=open;open()})();
        """
}
