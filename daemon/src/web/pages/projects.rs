//! Which project a list is about, and where somebody may do something with what is on it.

use vouchsafe_core::caller::User;

use super::filters::Choice;
use super::form::Fields;
use super::gate::Place;
use super::layout::Turned;
use super::session::Visitor;
use crate::broker::DEFAULT_PROJECT;

/// The projects that somebody may choose from.
#[derive(Debug)]
pub(super) struct Projects {
    /// The one that was asked for, or is shown where none was; none: all of them at once.
    pub(super) chosen: Option<String>,
    /// All of them.
    pub(super) choices: Vec<Choice>,
}

impl Projects {
    /// For a list that can be about all of them at once.
    pub(super) async fn or_all(
        visitor: &Visitor,
        user: &User,
        fields: &Fields,
    ) -> Result<Self, Turned> {
        let names = names(visitor, user).await?;
        let asked = fields.one("project");
        let every = (String::new(), "every project".to_owned());
        let own = names.into_iter().map(|name| (name.clone(), name));
        Ok(Self {
            chosen: (!asked.is_empty()).then(|| asked.to_owned()),
            choices: Choice::all([every].into_iter().chain(own), asked),
        })
    }

    /// For a list that is always about one.
    pub(super) async fn one(
        visitor: &Visitor,
        user: &User,
        fields: &Fields,
    ) -> Result<Self, Turned> {
        let names = names(visitor, user).await?;
        let chosen = match fields.one("project") {
            "" if names.iter().any(|name| name == DEFAULT_PROJECT) => DEFAULT_PROJECT.to_owned(),
            "" => names.first().cloned().unwrap_or_default(),
            asked => asked.to_owned(),
        };
        let choices = Choice::all(names.into_iter().map(|name| (name.clone(), name)), &chosen);
        Ok(Self { chosen: Some(chosen), choices })
    }

    /// Whether there is anything to choose.
    pub(super) fn several(&self) -> bool {
        self.choices.iter().filter(|choice| !choice.value.is_empty()).count() > 1
    }
}

/// A visitor as somebody who does this, where they may.
pub(super) fn reaching(visitor: &Visitor, place: Place) -> Option<User> {
    let reach = place.check(&visitor.record).ok()?;
    Some(User { reach, ..visitor.user.clone() })
}

async fn names(visitor: &Visitor, user: &User) -> Result<Vec<String>, Turned> {
    let projects = visitor.broker.list_projects(user, false).await;
    let projects = projects.map_err(|refused| visitor.turned(&refused))?;
    Ok(projects.iter().map(|view| view.project.name.to_string()).collect())
}
