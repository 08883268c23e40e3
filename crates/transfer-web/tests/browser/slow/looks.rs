//! The layout: at first sight, on one screen, on a phone, at 200% zoom, and in dark mode.

use serde_json::{Value, json};

use crate::{
    browser::WINDOW,
    lab::Lab,
    page::{Page, STILL, transfer},
    visit,
    webdriver::Key,
};

/// A phone's window.
pub(crate) const PHONE: (u32, u32) = (390, 844);

/// Elements that must be reachable at every size.
const PARTS: [&str; 19] = [
    "#from",
    "#to",
    "#amount",
    "#submit",
    "#batch",
    "#form-message a",
    "[data-account=account_J]",
    "#real-world",
    "#rates summary",
    "#outage-withdrawals",
    "#outage-deposits",
    "#reset",
    "#older",
    ".transfer .ui-link",
    ".transfer .details summary",
    ".goal .evidence a",
    "#hint",
    ".task[data-state=now] a",
    "#services [data-service=worker]",
];

/// A lab with content in every part of the page: two pages of transfers, with a stuck one in view.
async fn full(lab: &mut Lab, page: &Page) {
    lab.work("jerry").await;
    page.click("#batch").await;
    page.see_text("#range", "1–10 of 12").await;
    let id = page.start_transfer("account_A", "account_B", "25.50").await;
    page.see_element(&format!("{} .place-line", transfer(&id))).await;
    page.see_element(".goal[data-reached=true] .evidence a").await;
    page.click("#health summary").await;
    page.click("#trouble > summary").await;
    // Wait until nothing in the list moves.
    lab.rest().await;
}

/// The elements that overflow the window, or are covered when scrolled into view.
async fn out_of_reach(page: &Page) -> Value {
    let parts = json!(PARTS);
    page.js(&format!(
        "const wrong = [];
         const root = document.documentElement;
         // Long code scrolls inside its own box.
         const scrolls = (element) => element !== root && (getComputedStyle(element).overflowX !== 'visible' || scrolls(element.parentElement));
         const tabs = shown('#tabs') ? $$('#tabs > *') : [document.createElement('p')];
         for (const tab of tabs) {{
           tab.click();
           if (root.scrollWidth > innerWidth) wrong.push(`the page is ${{root.scrollWidth}} wide in ${{innerWidth}}`);
           for (const element of $$('body *')) {{
             const box = element.getBoundingClientRect();
             if (box.width > 0 && (box.right > innerWidth + 0.5 || box.left < -0.5) && element.checkVisibility() && !scrolls(element.parentElement) && !element.matches('.skip, .visually-hidden')) {{
               wrong.push(`${{element.tagName}}.${{element.className}}#${{element.id}} from ${{box.left}} to ${{box.right}}`);
             }}
           }}
         }}
         for (const part of {parts}) {{
           const element = $(part);
           tabs.find((tab) => element && $('#' + tab.getAttribute('aria-controls'))?.contains(element))?.click();
           if (!element?.checkVisibility()) {{ wrong.push(`${{part}} is not there`); continue; }}
           element.scrollIntoView({{ block: 'center', inline: 'nearest', behavior: 'instant' }});
           // For a link in a text, the part on its first line.
           const [box] = element.getClientRects();
           const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
           const hit = document.elementFromPoint(x, y);
           if (!hit || !(element.contains(hit) || hit.contains(element) && hit.matches('label, summary'))) {{
             wrong.push(`${{part}} at ${{x}}, ${{y}} is covered by ${{hit?.outerHTML.slice(0, 80)}}`);
           }}
         }}
         return wrong",
    ))
    .await
}

/// Before the first transfer: the guide is first and widest, and what is not needed yet is folded.
async fn at_first_sight_the_guide_comes_first(page: &Page) {
    page.see_text("#welcome", "crates/worker/src/workflow.rs").await;
    page.see_text("#health summary", "Lab running").await;
    assert_eq!(page.js("return ['#services', '#real-world'].map(shown)").await, json!([false, false]));
    let panels = "return $$('main > .panel').map((panel) => [panel.id, panel.getBoundingClientRect()])
          .map(([id, box]) => [id, box.left, box.width])";
    let panels: Vec<(String, f64, f64)> = serde_json::from_value(page.js(panels).await).expect("boxes");
    let [(guide, left, width), others @ ..] = &*panels else { panic!("no panels") };
    assert_eq!((&**guide, *left), ("guide", 0.0), "{panels:?}");
    assert!(others.iter().all(|other| width > &(other.2 * 1.5)), "{panels:?}");
}

/// The tabs on a narrow screen: their order, their keys, and the way to an element in another tab.
async fn each_part_is_a_tab(page: &Page) {
    let shown =
        "return $$('main > .panel').filter((panel) => panel.checkVisibility()).map((panel) => panel.id)";
    page.click("#tab-guide").await;
    let names =
        page.js("return $$('#tabs [role=tab]').map((tab) => tab.firstChild.textContent.trim())").await;
    assert_eq!(names, json!(["Guide", "Transfers", "Bank"]));
    assert_eq!(page.js(shown).await, json!(["guide"]));
    page.see_text("#tab-transfers-panel .badge", "stuck").await;
    for (key, panel) in [
        (Key::Right, "transfers-panel"),
        (Key::Right, "bank-panel"),
        (Key::Right, "guide"),
        (Key::Left, "bank-panel"),
    ] {
        page.press(&[key]).await;
        assert_eq!(page.js(shown).await, json!([panel]));
        let focused = format!("return document.activeElement.id + $('#{panel}').getAttribute('role')");
        assert_eq!(page.js(&focused).await, json!(format!("tab-{panel}tabpanel")));
    }
    // An element that is folded in another tab.
    page.js("$('#trouble').open = false").await;
    page.click("#tab-guide").await;
    let reveal = "const done = arguments[arguments.length - 1];
         import('/assets/reveal.js').then(({ reveal }) => done(['outage-deposits', 'nothing'].map(reveal)), (error) => done(String(error)))";
    let found = page.browser.client.execute_async(reveal).await.expect("the module is loaded");
    assert_eq!(found, json!([true, false]));
    assert_eq!(page.js(shown).await, json!(["bank-panel"]));
    page.see(
        "the switch",
        "return document.activeElement === $('#outage-deposits') && shown('#outage-deposits')",
    )
    .await;
}

#[tokio::test]
async fn on_a_laptop_the_page_fits_one_screen_and_everything_is_reachable() {
    visit("jerry", async |lab, page| {
        at_first_sight_the_guide_comes_first(page).await;
        full(lab, page).await;
        assert_eq!(page.js("return [innerWidth, innerHeight]").await, json!([WINDOW.0, WINDOW.1]));
        let root = page
            .js("const root = document.documentElement; return [root.scrollWidth, root.scrollHeight]")
            .await;
        assert_eq!(root, json!([WINDOW.0, WINDOW.1]), "the page itself does not scroll");
        assert_eq!(out_of_reach(page).await, json!([]));
    })
    .await;
}

#[tokio::test]
async fn on_a_phone_everything_is_reachable() {
    visit("jerry", async |lab, page| {
        full(lab, page).await;
        page.browser.look_like(PHONE, 1.0).await;
        page.see("the phone's width", &format!("return innerWidth === {}", PHONE.0)).await;
        assert_eq!(out_of_reach(page).await, json!([]));
        each_part_is_a_tab(page).await;
        // It is usable, too: a click lands on the element it aims at.
        page.click("#tab-bank-panel").await;
        page.click("[data-account=account_A]").await;
        page.see_element("#history-dialog").await;
        page.see("its transfers", "return $$('#history-rows .movement').length === 4").await;
        let visible = "const scroll = $('#history-scroll').getBoundingClientRect();
             return ['.number', '.status'].map((cell) => {
               const box = $(`#history-rows ${cell}`).getBoundingClientRect();
               return box.width > 0 && box.left >= scroll.left && box.right <= scroll.right;
             })";
        assert_eq!(page.js(visible).await, json!([true, true]), "amount and status need no scrolling");
        assert_eq!(page.js("return document.documentElement.scrollWidth <= innerWidth").await, true);
        page.click("#history-close").await;
        page.click("#tab-transfers-panel").await;
        page.js("scrollTo(0, 0)").await;
        page.click("#older").await;
        page.see_text("#range", "11–13 of 13").await;
        page.click("#tab-guide").await;
        page.click("#hint").await;
        page.see_element(".hint").await;
    })
    .await;
}

#[tokio::test]
async fn at_200_percent_zoom_everything_is_reachable() {
    visit("jerry", async |lab, page| {
        full(lab, page).await;
        // As a browser's zoom: half as many pixels, each twice as large.
        page.browser.look_like((WINDOW.0 / 2, WINDOW.1 / 2), 2.0).await;
        page.see("the zoom", &format!("return innerWidth === {} && devicePixelRatio === 2", WINDOW.0 / 2))
            .await;
        assert_eq!(out_of_reach(page).await, json!([]));
        page.click("#tab-bank-panel").await;
        page.click("#reset").await;
        page.see_element("#reset-confirm").await;
        page.click("#reset-cancel").await;
        page.click("#tab-transfers-panel").await;
        page.js("scrollTo(0, 0)").await;
        page.click("#older").await;
        page.see_text("#range", "11–13 of 13").await;
    })
    .await;
}

/// The computed lightness of background and text, from 0 to 1.
const LIGHTNESS: &str = "
    const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    const lightness = (colour) => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
      return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255;
    };
    const of = (what) => getComputedStyle($(what));
    return ['body', '#guide', '#reset-dialog', '#amount', '#batch'].map((what) => [what, lightness(of(what).backgroundColor), lightness(of(what).color)]);
";

#[tokio::test]
async fn the_page_follows_the_preference_for_dark_or_light() {
    visit("jerry", async |_, page| {
        for dark in [true, false, true] {
            page.browser.dark(dark).await;
            page.see(
                "the colours",
                &format!("return matchMedia('(prefers-color-scheme: dark)').matches === {dark}"),
            )
            .await;
            let looks = page.js(&format!("{STILL} {LIGHTNESS}")).await;
            for part in looks.as_array().expect("a list") {
                let (ground, text) =
                    (part[1].as_f64().expect("a number"), part[2].as_f64().expect("a number"));
                let right = if dark { ground < 0.25 && text > 0.6 } else { ground > 0.75 && text < 0.4 };
                assert!(right, "dark: {dark}, {part}");
            }
        }
    })
    .await;
}
