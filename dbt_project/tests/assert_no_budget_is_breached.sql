{#
    No budget's amount is spent. Looks at the periods that are current or have ended the day before, so that a build a day
    sees each of them complete. The variable `budget_breach_severity` says whether it warns or fails.
#}
{{ config(severity = var('budget_breach_severity')) }}
{%- set breaches %}
select
    'The budget ' || budget_name || ' is breached: ' || cast(cast(spent_usd as numeric(38, 2)) as text) || ' of '
    || cast(cast(budget_usd as numeric(38, 2)) as text) || ' USD spent from ' || cast(period_start_date as text) || ' to '
    || cast(period_end_date as text) as breach
from {{ ref('fct_budget_status') }}
where is_breached and period_end_date >= as_of_date - 1
order by breach
{%- endset %}

{{ telling(breaches) }}
