{#
    On no day does a provider's bill differ from the operations' cost by more than the share `reconciliation_max_variance`
    of what is billed. Whole days of a provider are compared: a line without a model is part of the bill as well. The
    variable `reconciliation_severity` says whether a difference warns or fails.
#}
{{ config(severity = var('reconciliation_severity')) }}
{%- set differences %}
with days as (

    select
        usage_date,
        provider,
        coalesce(sum(billed_cost_usd), 0) as billed_cost_usd,
        coalesce(sum(cost_usd), 0) as cost_usd,
        sum(variance_usd) as variance_usd,
        sum(unpriced_operation_count) as unpriced_operation_count
    from {{ ref('fct_cost_reconciliation') }}
    group by usage_date, provider

)

select
    'On ' || cast(usage_date as text) || ' ' || provider || ' billed ' || cast(cast(billed_cost_usd as numeric(38, 2)) as text)
    || ' USD, its operations cost ' || cast(cast(cost_usd as numeric(38, 2)) as text) || ' ('
    || cast(unpriced_operation_count as text) || ' unpriced)' as difference
from days
where abs(variance_usd) > cast({{ var('reconciliation_max_variance') }} as numeric(38, 12)) * abs(billed_cost_usd)
order by usage_date desc, provider
{%- endset %}

{{ telling(differences) }}
