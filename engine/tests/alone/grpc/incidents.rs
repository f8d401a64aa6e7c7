//! What people read and say about incidents.

use std::time::Duration;

use foreshock_core::{bus::Event, types::*};
use foreshock_proto::v1::{
    self, AcknowledgeRequest, CreateSilenceRequest, EndSilenceRequest, FeedbackRequest, GetIncidentRequest,
    ListAdjustmentsRequest, ListIncidentsRequest, ListSilencesRequest, ListSuppressedRequest, UndoRequest,
    WatchIncidentsRequest, incidents_client::IncidentsClient, silences_client::SilencesClient,
};
use tonic::{Code, Streaming, transport::Channel};

use super::double::{Double, NOW_MS, automatic, incident};

async fn connect(double: &Double) -> IncidentsClient<Channel> {
    IncidentsClient::connect(double.endpoint()).await.unwrap()
}

/// The next change, in time.
async fn next(watch: &mut Streaming<v1::Incident>) -> v1::Incident {
    let change = tokio::time::timeout(Duration::from_secs(30), watch.message()).await;
    change.expect("a change in time").unwrap().expect("the watch goes on")
}

fn resolved(id: u64) -> Incident {
    Incident { state: IncidentState::Resolved, resolved_ms: Some(2_000_000), ..incident(id) }
}

#[tokio::test]
async fn lists_and_single_ones() {
    let double = Double::start(automatic(60));
    for known in [incident(7), resolved(8), incident(9)] {
        double.tell(Event::Incident(known));
    }
    let mut client = connect(&double).await;
    let mut list = async |state, limit| {
        let answer = client.list(ListIncidentsRequest { state, limit }).await;
        answer.map(|answer| answer.into_inner().incidents.into_iter().map(|it| it.id).collect::<Vec<_>>())
    };
    let (seven, eight, nine) = (Id(7).to_string(), Id(8).to_string(), Id(9).to_string());
    // The thread takes what it was told and what it is asked in any order: wait until it knows all three.
    while list(0, 0).await.unwrap().len() < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(list(0, 0).await.unwrap(), [nine.clone(), eight.clone(), seven.clone()]);
    assert_eq!(list(0, 1).await.unwrap(), std::slice::from_ref(&nine));
    assert_eq!(list(1, 0).await.unwrap(), [nine, seven.clone()]);
    assert_eq!(list(2, 0).await.unwrap(), [eight]);
    assert_eq!(list(3, 0).await.unwrap_err().code(), Code::InvalidArgument);

    let got = client.get(GetIncidentRequest { id: seven }).await.unwrap().into_inner();
    assert_eq!(foreshock_wire::incident_from(got), Ok(incident(7)));
    let code = async |client: &mut IncidentsClient<Channel>, id: String| {
        client.get(GetIncidentRequest { id }).await.unwrap_err().code()
    };
    assert_eq!(code(&mut client, Id(1).to_string()).await, Code::NotFound);
    assert_eq!(code(&mut client, "seven".to_string()).await, Code::InvalidArgument);
}

#[tokio::test]
async fn a_watch_has_what_is_open_then_every_change() {
    let double = Double::start(automatic(60));
    let mut client = connect(&double).await;
    let mut watch = client.watch(WatchIncidentsRequest::default()).await.unwrap().into_inner();
    double.tell(Event::Incident(resolved(8)));
    double.tell(Event::Incident(incident(7)));
    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.push(next(&mut watch).await.id);
    }
    assert_eq!(seen, [Id(8).to_string(), Id(7).to_string()]);

    let mut late = client.watch(WatchIncidentsRequest { include_open: true }).await.unwrap().into_inner();
    let first = next(&mut late).await;
    assert_eq!((first.id.as_str(), first.revision), (Id(7).to_string().as_str(), 1));
    let request = AcknowledgeRequest { id: Id(7).to_string(), by: "ann".to_string() };
    client.acknowledge(request).await.unwrap();
    for stream in [&mut watch, &mut late] {
        let change = next(stream).await;
        assert_eq!((change.revision, change.acknowledged_by.as_str()), (2, "ann"));
    }
}

#[tokio::test]
async fn peoples_word() {
    let double = Double::start(automatic(60));
    let mut client = connect(&double).await;
    let mut watch = client.watch(WatchIncidentsRequest::default()).await.unwrap().into_inner();
    double.tell(Event::Incident(incident(7)));
    next(&mut watch).await;
    let id = Id(7).to_string();

    let acknowledge = |id: &str, by: &str| AcknowledgeRequest { id: id.to_string(), by: by.to_string() };
    let after = client.acknowledge(acknowledge(&id, "ann")).await.unwrap().into_inner();
    assert_eq!(after.acknowledged_by, "ann");
    for (id, by, code) in [
        (id.as_str(), "", Code::InvalidArgument),
        (id.as_str(), &*"x".repeat(257), Code::InvalidArgument),
        ("0000000000000001", "ann", Code::NotFound),
        ("", "ann", Code::InvalidArgument),
    ] {
        assert_eq!(client.acknowledge(acknowledge(id, by)).await.unwrap_err().code(), code, "{id} {by}");
    }

    let feedback = |id: &str, verdict: v1::Verdict| FeedbackRequest {
        id: id.to_string(),
        by: "ann".to_string(),
        cause: "service/shop/payment".to_string(),
        comment: "v2".to_string(),
        verdict: verdict.into(),
        duplicate_of: String::new(),
    };
    let learnt = client.feedback(feedback(&id, v1::Verdict::Useful)).await.unwrap().into_inner().adjustments;
    assert_eq!(learnt.len(), 1);
    assert_eq!((learnt[0].by.as_str(), learnt[0].said.as_str()), ("ann", "useful: v2"));
    client.feedback(feedback("", v1::Verdict::Missed)).await.unwrap();
    let listed = client.list_adjustments(ListAdjustmentsRequest {}).await.unwrap().into_inner().adjustments;
    assert_eq!(listed.len(), 2);
    let undo = UndoRequest { id: learnt[0].id.clone(), by: "ann".to_string() };
    client.undo(undo.clone()).await.unwrap();
    assert_eq!(client.undo(undo).await.unwrap_err().code(), Code::NotFound);
    for (request, code) in [
        (FeedbackRequest { by: String::new(), ..feedback(&id, v1::Verdict::Useful) }, Code::InvalidArgument),
        (feedback(&id, v1::Verdict::Unspecified), Code::InvalidArgument),
        (feedback(&id, v1::Verdict::Duplicate), Code::InvalidArgument),
        (feedback("", v1::Verdict::False), Code::InvalidArgument),
        (
            FeedbackRequest { cause: String::new(), ..feedback("", v1::Verdict::Missed) },
            Code::InvalidArgument,
        ),
        (
            FeedbackRequest { cause: "payment".to_string(), ..feedback(&id, v1::Verdict::Useful) },
            Code::InvalidArgument,
        ),
        (feedback("0000000000000001", v1::Verdict::False), Code::NotFound),
    ] {
        assert_eq!(client.feedback(request.clone()).await.unwrap_err().code(), code, "{request:?}");
    }
    let left_out = client.list_suppressed(ListSuppressedRequest::default()).await.unwrap().into_inner();
    assert_eq!(left_out.suppressed[0].why, "alone");
}

#[tokio::test]
async fn silences_are_given_listed_and_ended() {
    let double = Double::start(automatic(60));
    let mut client = SilencesClient::connect(double.endpoint()).await.unwrap();
    let request = CreateSilenceRequest {
        matchers: vec!["entity=service/shop/payment".to_string(), "measure =~ disk.*".to_string()],
        from_unix_ms: 0,
        lasts_ms: 60_000,
        by: "ann".to_string(),
        comment: "new disks".to_string(),
    };
    let given = client.create(request.clone()).await.unwrap().into_inner();
    assert_eq!((given.from_unix_ms, given.until_unix_ms), (NOW_MS, NOW_MS + 60_000));
    assert_eq!(given.matchers, ["entity=\"service/shop/payment\"", "measure=~\"disk.*\""]);
    assert_eq!(client.create(request.clone()).await.unwrap().into_inner(), given, "the same again");
    let end = EndSilenceRequest { id: given.id.clone(), by: "ann".to_string() };
    let listed = client.list(ListSilencesRequest {}).await.unwrap().into_inner().silences;
    assert_eq!(listed, [given]);
    client.end(end.clone()).await.unwrap();
    let listed = client.list(ListSilencesRequest {}).await.unwrap().into_inner().silences;
    assert_eq!(listed[0].until_unix_ms, NOW_MS);
    let unknown = EndSilenceRequest { id: Id(1).to_string(), ..end };
    assert_eq!(client.end(unknown).await.unwrap_err().code(), Code::NotFound);
    for wrong in [
        CreateSilenceRequest { matchers: Vec::new(), ..request.clone() },
        CreateSilenceRequest { matchers: vec!["payment".to_string()], ..request.clone() },
        CreateSilenceRequest { lasts_ms: 0, ..request.clone() },
        CreateSilenceRequest { by: String::new(), ..request },
    ] {
        let refused = client.create(wrong.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{wrong:?}: {refused}");
    }
}

#[tokio::test]
async fn a_watcher_that_falls_behind_is_cut_off() {
    let double = Double::start(automatic(60));
    let mut client = connect(&double).await;
    let mut watch = client.watch(WatchIncidentsRequest::default()).await.unwrap().into_inner();
    // More than the 1024 that may be missed, and than any buffer on the way holds.
    for id in 0..3000 {
        double.tell(Event::Incident(Incident { why: "x".repeat(1000), ..incident(id) }));
    }
    // Until the last one is known, nothing is read.
    let last = GetIncidentRequest { id: Id(2999).to_string() };
    while client.get(last.clone()).await.is_err() {}
    let mut seen = 0;
    let ended = loop {
        match watch.message().await {
            Ok(Some(_)) => seen += 1,
            Ok(None) => panic!("ended without a reason after {seen}"),
            Err(status) => break status,
        }
    };
    assert_eq!(ended.code(), Code::ResourceExhausted, "{ended}");
    assert!(seen < 3000);
}
